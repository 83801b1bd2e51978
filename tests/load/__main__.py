"""`python -m tests.load`: play the same alerts undisturbed and disturbed, compare and print."""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from deploy.embedded.engines import running_engines
from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings
from tests.bench.percentiles import percentile
from tests.load.play import Played, play

VAR = Path(__file__).parents[2] / "var"
QUIET = ("inbox", "sms", "agency webhook", "team webhook", "chat")
"""What must not feel that others hang, fail or refuse."""
AT_MOST = 2.0
GRAIN_SECONDS = 0.1
"""Differences below the senders' own rhythm are no differences."""


def main() -> None:
    """Print figures; the exit code is 1 when something was lost, doubled or held up."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50.0, help="alerts per second")
    parser.add_argument("--refuse-seconds", type=float, default=60.0, help="how long SMTP refuses")
    chosen = parser.parse_args()
    configure_logs(Settings(log_level="error"), service="load")
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    runs: dict[str, Played] = {}
    with running_engines(
        VAR / "load", say=_say, free_ports=True, fresh=True, cache=VAR / "engines"
    ) as engines:
        for name, seconds in (("undisturbed", 0.0), ("disturbed", chosen.refuse_seconds)):
            with tempfile.TemporaryDirectory() as directory:
                playing = play(
                    engines,
                    Path(directory),
                    alerts=chosen.alerts,
                    workers=chosen.workers,
                    rate=chosen.rate,
                    trouble_seconds=seconds,
                )
                runs[name] = asyncio.run(playing)
    sys.exit(0 if _report(runs["undisturbed"], runs["disturbed"]) else 1)


def _report(calm: Played, troubled: Played) -> bool:
    _say(f"{'sender':<16} messages  {'undisturbed p50 p95 p99 ms':>28}  {'disturbed p50 p95 p99 ms':>28}")
    fine = True
    for sender, waits in calm.waits.items():
        other = troubled.waits[sender]
        slower = [_of(other, share) > AT_MOST * _of(waits, share) + GRAIN_SECONDS for share in (0.5, 0.95)]
        held_up = sender in QUIET and any(slower)
        fine = fine and not held_up
        _say(f"{sender:<16} {len(other):>8}  {_shown(waits):>28}  {_shown(other):>28}{'  HELD UP' * held_up}")
    for name, played in (("undisturbed", calm), ("disturbed", troubled)):
        _say(
            f"{name}: {played.alerts} alerts to {played.people} inboxes, {played.deliveries} deliveries,"
            f" {played.lost} lost, {played.doubled} doubled; everything had arrived after"
            f" {played.seconds:.0f} s"
        )
        fine = fine and not played.lost and not played.doubled
    return fine


def _of(waits: list[float], share: float) -> float:
    return percentile(waits, share)


def _shown(waits: list[float]) -> str:
    return " ".join(f"{_of(waits, share) * 1000:8.0f}" for share in (0.5, 0.95, 0.99))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
