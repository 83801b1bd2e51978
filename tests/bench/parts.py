"""The benchmark's parts: each adds its figures to the report, one after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from services.assessment.pack import AssessmentPack
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.notify.pack.model import NotifyPack
from tests.bench import (
    backlogs,
    catch_up,
    cost,
    due,
    growth,
    inbox,
    latency,
    limit,
    machine,
    pipeline,
    relay,
    split,
)
from tests.bench.backlog import backlog
from tests.bench.choice import Choice
from tests.bench.guard import Ratio
from tests.bench.mixture import mixed_for
from tests.bench.run import Work, measure
from tests.bench.say import say
from tests.bench.stage import BenchFailed, Stage, staged
from tests.bench.variants import LEADLINE


class Bench:
    """One run of the benchmark: its parts add to the report, one after the other."""

    def __init__(self, stage: Stage, choice: Choice) -> None:
        self.report: dict[str, Any] = {"scale": choice.scale.name, "machine": machine.facts(stage.engines)}
        self.faults: list[str] = []
        self.failed: dict[str, str] = {}
        self._stage = stage
        self._choice = choice
        self._scale = choice.scale
        self._settings = Settings()
        self._pack = load_pack(self._settings.policy, AssessmentPack)
        self._localities = [locality.code for locality in self._pack.localities]

    async def run(self) -> None:
        """Measure what was chosen. A part that fails is named in the report; the others go on."""
        until = time.monotonic() + self._scale.most_seconds
        for name in self._choice.parts:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(until - begun):
                    await PARTS[name](self)
            except (BenchFailed, TimeoutError) as error:
                self.failed[name] = str(error) or "there was no time left: the machine is busy"
                say(f"\n{name} FAILED: {self.failed[name]}")
            self.report.setdefault("seconds_by_part", {})[name] = round(time.monotonic() - begun)

    async def pipeline(self) -> None:
        """Ours and the peers', interleaved."""
        measured = await pipeline.run_pipeline(
            self._stage,
            self._scale,
            self._pack,
            variants=self._choice.variants,
            profile=self._choice.profile,
        )
        self.faults += measured.faults
        self.report |= pipeline.figures(measured, self._scale)
        pipeline.show(measured)

    async def limit(self) -> None:
        """What neither the database nor the broker lets anybody exceed."""
        work = Work(list(backlog(self._scale.part_events, self._localities)))
        found = await limit.measure_limit(self._stage, work, self._pack, batch=self._settings.batch)
        self.faults += [f"limit: {fault}" for fault in found.faults]
        measured = self.report.get("pipeline", {})
        ours = {1: measured.get("one_worker_events_s"), 2: measured.get("two_workers_events_s")}
        self.report["limit"] = {
            "one_worker_events_s": round(found.events_s(1)),
            "two_workers_events_s": round(found.events_s(2)),
            "broker_events_s": round(found.broker_events_s),
        }
        if all(ours.values()):
            shares = {workers: round(speed / found.events_s(workers), 3) for workers, speed in ours.items()}
            self._add("pipeline", share_of_limit=shares[1], two_workers_share_of_limit=shares[2])
            for name, workers in (("share_of_limit", 1), ("two_workers_share_of_limit", 2)):
                speeds = pipeline.speeds_of(self.report, LEADLINE, workers, self._scale.partitions)
                share = Ratio.of([speed / found.events_s(workers) for speed in speeds])
                self._add("ratios", **{name: asdict(share)})
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
        """A store that grows: speed and memory of one worker from its first event to its last."""
        scale = self._scale
        grown, turns = await growth.measure_growth(
            self._stage,
            scale.growth_events,
            self._localities,
            rounds=scale.growth_rounds,
            round_events=scale.growth_round_events,
        )
        self._add("growth", **growth.figures(grown, turns))
        growth.show(grown, turns)

    async def catch_up(self) -> None:
        """Start-up and catch-up after an outage during which the county's feed went on."""
        away = self._scale.away_seconds
        referrals = backlog(mixed_for(round(away * catch_up.RATE)), self._localities)
        found = await catch_up.measure_catch_up(
            self._stage, Work(list(referrals), with_others=True), self._pack, away=away
        )
        self.faults += [f"catch_up: {fault}" for fault in found.faults]
        self._add("growth", catch_up=found.figures)
        catch_up.show(found)

    async def deadlines(self) -> None:
        """Many open deadlines, and many that are due at once."""
        scale = self._scale
        measured = await due.measure_due(
            self._stage, scale.open_deadlines, scale.due_deadlines, scale.due_burst
        )
        self._add("growth", **due.figures(measured))
        due.show(measured)

    async def inbox(self) -> None:
        """One person's inbox when there are many alerts."""
        found = await inbox.measure_inbox(self._stage, self._scale.alerts)
        self.report["inbox"] = found.figures
        inbox.show(found)

    async def cost(self) -> None:
        """CPU time and bytes on disk of one event, for each service, on a county's month."""
        scale, stage = self._scale, self._stage
        referrals = list(backlog(scale.cost_referrals, self._localities))
        work = Work(referrals, with_others=True)
        measured = await measure(stage, LEADLINE, work, self._pack, workers=1, partitions=4)
        self.faults += [f"cost: assessment: {fault}" for fault in measured.faults]
        self._add("pipeline", mixture_one_worker_events_s=round(measured.events_s))
        costs = [cost.of_assessment(measured, handled=work.distinct, published=work.published)]
        team_of, pack = self._pack.team_of_locality, load_pack(self._settings.policy, NotifyPack)
        costs.append(await cost.measure_cost(stage, backlogs.of_referral(scale.county, self._localities)))
        costs.append(await cost.measure_cost(stage, backlogs.of_placement(referrals, team_of)))
        costs.append(await cost.measure_cost(stage, backlogs.of_notify(referrals, team_of, pack)))
        self.faults += [f"cost: {each.service}: {fault}" for each in costs for fault in each.faults]
        self.report["cost"] = {each.service: each.figures for each in costs}
        cost.show(costs)

    def _add(self, key: str, **figures: Any) -> None:
        """Add figures to one of the report's sections, to which several parts contribute."""
        self.report.setdefault(key, {}).update(figures)


PARTS: Mapping[str, Callable[[Bench], Awaitable[None]]] = {
    part.__name__: part
    for part in (
        Bench.pipeline,
        Bench.limit,
        Bench.split,
        Bench.relay,
        Bench.latency,
        Bench.cost,
        Bench.growth,
        Bench.catch_up,
        Bench.deadlines,
        Bench.inbox,
    )
}
"""All parts in the order in which they run, which is that of importance: the last have what time is left."""


async def bench(choice: Choice) -> dict[str, Any]:
    """Measure what was chosen and return the report."""
    begun = time.monotonic()
    async with staged() as stage:
        run = Bench(stage, choice)
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
