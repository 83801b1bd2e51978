"""`python -m tests.chaos`: disturb the whole system under load, recount, write a report; --help says more."""

import asyncio
import json
import logging
import sys

from deploy.embedded.supervisor import exit_on_signals
from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings
from tests.chaos.choice import choose, file_of
from tests.chaos.feed import start_of
from tests.chaos.home import VAR, own_system
from tests.chaos.report import show
from tests.chaos.run import play
from tests.chaos.target import targeted

REPORTS = VAR / "chaos"


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run; the exit code is 1 when anything was lost, doubled, late, out of order, or never recovered."""
    choice = choose()
    configure_logs(Settings(log_level="error"), service="chaos")
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # brokers that go away are the point
    say(f"seed {choice.seed}, {choice.seconds} s, {choice.per_second} events/s, {choice.storm or 'rotation'}")
    say(f"again: {choice.command}")
    if choice.mutation is not None:
        say(f"broken on purpose: {choice.mutation}")
    with (
        exit_on_signals(),
        own_system(
            say, start=start_of(choice.seed), put_inside=choice.put_inside, more_env=choice.more_env
        ) as (system, home, clock),
        targeted(system, home, extra_workers=choice.storm is not None) as target,
    ):
        report = asyncio.run(play(choice, target, clock, say)).as_data()
    report["mutation"] = choice.mutation
    file = file_of(choice, REPORTS)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show(report, say)
    verdict = "exact" if report["passed"] else "NOT EXACT"
    say(f"seed {choice.seed}: {verdict}; all findings are in {file.relative_to(VAR.parent)}")
    say(f"again: {choice.command}")
    raise SystemExit(0 if report["passed"] else 1)


if __name__ == "__main__":
    main()
