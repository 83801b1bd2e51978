"""`python -m tests.bench [--quick]`: measure, print tables, write `var/bench/latest.json`."""

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from deploy.embedded.supervisor import exit_on_signals
from services.assessment.pack import AssessmentPack
from services.kernel.logs import configure_logs
from services.kernel.pack import load_pack
from services.kernel.settings import Settings
from tests.bench import growth, inbox, latency, limit, machine, pipeline, relay, split
from tests.bench.backlog import backlog
from tests.bench.run import Work, measure
from tests.bench.say import say, table
from tests.bench.scale import FULL, QUICK, Scale
from tests.bench.stage import VAR, BenchFailed, Stage, staged
from tests.bench.variants import LEADLINE

REPORT = VAR / "bench" / "latest.json"


class Bench:
    """One run of the benchmark: its parts add to the report, one after the other."""

    def __init__(self, stage: Stage, scale: Scale) -> None:
        self.report: dict[str, Any] = {"scale": scale.name, "machine": machine.facts(stage.engines)}
        self.faults: list[str] = []
        self.failed: dict[str, str] = {}
        self._stage = stage
        self._scale = scale
        self._settings = Settings()
        self._pack = load_pack(self._settings.policy, AssessmentPack)
        self._localities = [locality.code for locality in self._pack.localities]

    async def run(self) -> None:
        """Measure everything. A part that fails is named in the report; the others go on."""
        until = time.monotonic() + self._scale.most_seconds
        parts: list[Callable[[], Awaitable[None]]] = [
            self.pipeline,
            self.mixture,
            self.limit,
            self.split,
            self.relay,
            self.growth,
            self.inbox,
            self.latency,
        ]
        for part in parts:
            begun = time.monotonic()
            name = part.__name__
            try:
                async with asyncio.timeout(until - begun):
                    await part()
            except (BenchFailed, TimeoutError) as error:
                self.failed[name] = str(error) or "there was no time left: the machine is busy"
                say(f"\n{name} FAILED: {self.failed[name]}")
            self.report.setdefault("seconds_by_part", {})[name] = round(time.monotonic() - begun)

    async def pipeline(self) -> None:
        """Ours and the peers', interleaved."""
        measured = await pipeline.run_pipeline(self._stage, self._scale, self._pack)
        self.faults += measured.faults
        self.report |= pipeline.figures(measured, self._scale)
        pipeline.show(measured)

    async def mixture(self) -> None:
        """One worker on what the topic really carries."""
        work = Work(list(backlog(self._scale.mixed_referrals, self._localities)), with_others=True)
        measured = await measure(self._stage, LEADLINE, work, self._pack, workers=1, partitions=4)
        self.faults += [f"mixture: {fault}" for fault in measured.faults]
        handled = len(work.referrals) / len(work.messages)
        self.report["pipeline"]["mixture_one_worker_events_s"] = round(measured.events_s)
        self.report["pipeline"]["mixture_handled_share"] = round(handled, 3)
        table(
            "the county's real mix of referral-events: the others are skipped by their header",
            ["backlog", "events/s", "handled"],
            [[f"{measured.events:,} events, one worker", f"{measured.events_s:,.0f}", f"{handled:.0%}"]],
        )

    async def limit(self) -> None:
        """What neither the database nor the broker lets anybody exceed."""
        work = Work(list(backlog(self._scale.part_events, self._localities)))
        found = await limit.measure_limit(self._stage, work, self._pack, batch=self._settings.batch)
        self.faults += [f"limit: {fault}" for fault in found.faults]
        ours = self.report["pipeline"]["one_worker_events_s"]
        self.report["limit"] = {
            "events_s": round(found.events_s),
            "database_events_s": round(found.database_events_s),
            "broker_events_s": round(found.broker_events_s),
        }
        self.report["pipeline"]["share_of_limit"] = round(ours / found.events_s, 3)
        limit.show(found, ours)

    async def split(self) -> None:
        """Where the worker's CPU time goes."""
        work = Work(list(backlog(self._scale.part_events, self._localities)))
        found = await split.measure_split(self._stage, work, batch=self._settings.batch)
        self.report["cpu_us_per_event_by_stage"] = split.figures(found)
        split.show(found)

    async def relay(self) -> None:
        """The relay alone."""
        found = await relay.measure_relay(
            self._stage, per_second=self._scale.relay_per_second, seconds=self._scale.relay_seconds
        )
        self.report["relay_ms"] = found.figures
        relay.show(found)

    async def latency(self) -> None:
        """The whole system, from HTTP to the alert."""
        found = await latency.measure_latency(self._stage, self._scale.latency_seconds, self._localities)
        self.report["latency_ms"] = {str(each.per_second): each.figures for each in found}
        latency.show(found)

    async def growth(self) -> None:
        """A store that grows, and many deadlines."""
        scale = self._scale
        grown = await growth.measure_growth(self._stage, scale.growth_events, self._localities)
        due = await growth.measure_due(
            self._stage, scale.open_deadlines, scale.due_deadlines, scale.due_burst
        )
        self.report["growth"] = growth.figures(grown, due)
        growth.show(grown, due)

    async def inbox(self) -> None:
        """One person's inbox when there are many alerts."""
        found = await inbox.measure_inbox(self._stage, self._scale.alerts)
        self.report["inbox"] = found.figures
        inbox.show(found)


async def bench(scale: Scale) -> dict[str, Any]:
    """Measure everything at one scale and return the report."""
    begun = time.monotonic()
    async with staged() as stage:
        run = Bench(stage, scale)
        for name, value in run.report["machine"].items():
            say(f"{name}: {value}")
        await run.run()
    return {
        **run.report,
        "consistent": not run.faults and "pipeline" not in run.failed,
        "faults": run.faults,
        "failed": run.failed,
        "seconds": round(time.monotonic() - begun),
    }


def main() -> None:
    """Run the benchmark; the exit code is 1 when a recount disagreed or a part failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: ends within five minutes")
    scale = QUICK if parser.parse_args().quick else FULL
    configure_logs(Settings(log_level="error"), service="bench")
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # new topics make them complain, and try again
    with exit_on_signals():
        report = asyncio.run(bench(scale))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say()
    say(f"everything agrees with the recount: {'yes' if report['consistent'] else 'NO'}")
    say(f"{report['seconds']} seconds; all figures are in {REPORT.relative_to(VAR.parent)}")
    raise SystemExit(0 if report["consistent"] and not report["failed"] else 1)


if __name__ == "__main__":
    main()
