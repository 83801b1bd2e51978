"""The pipeline under a full backlog, ours and the peers', interleaved in rounds."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from services.assessment.pack import AssessmentPack
from tests.bench.backlog import backlog
from tests.bench.guard import Ratio
from tests.bench.run import SHARES, Measured, Work, measure
from tests.bench.say import say, table
from tests.bench.scale import Scale
from tests.bench.stage import Stage
from tests.bench.variants import AIOKAFKA_BATCH, LEADLINE, PEERS, VARIANTS, Variant


@dataclass(frozen=True)
class Course:
    """Who runs, with how many workers, on how many partitions."""

    variant: Variant
    workers: int
    partitions: int

    @property
    def words(self) -> str:
        """Return a line's title."""
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{self.variant.words}, {workers}, {self.partitions} partitions"


@dataclass
class Pipeline:
    """What all rounds have measured."""

    runs: dict[Course, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    warm_up: Measured | None = None

    @property
    def faults(self) -> list[str]:
        """Return what any recount found wrong."""
        warm_up = () if self.warm_up is None else self.warm_up.faults
        return [
            *(f"warm-up: {fault}" for fault in warm_up),
            *(
                f"{course.words}: {fault}"
                for course, runs in self.runs.items()
                for run in runs
                for fault in run.faults
            ),
        ]

    def events_s(self, course: Course) -> float:
        """Return the median of a course."""
        return median(run.events_s for run in self.runs[course])

    def ratio(self, ours: Course, peers: Iterable[Course]) -> Ratio:
        """Return how many times as fast as the best of the peers we are.

        Compared within each round in which all took part.
        """
        others = [[run.events_s for run in self.runs[peer]] for peer in peers]
        best: list[float] = [max(speeds) for speeds in zip(*others, strict=False)]
        return Ratio.of([run.events_s / peer for run, peer in zip(self.runs[ours], best, strict=False)])


def courses(scale: Scale, variants: Collection[str] = tuple(VARIANTS)) -> list[Course]:
    """Return who of the variants runs in every round."""
    few = scale.partitions
    found = [Course(LEADLINE, 1, few), *(Course(peer, 1, few) for peer in PEERS)]
    found += [Course(LEADLINE, 2, few), Course(AIOKAFKA_BATCH, 2, few)]
    return [course for course in found if course.variant.name in variants]


def wide_courses(scale: Scale, variants: Collection[str] = tuple(VARIANTS)) -> list[Course]:
    """Return who of the variants runs once, on many partitions."""
    if not scale.wide_partitions:
        return []
    pairs = [(each, workers) for each in (LEADLINE, AIOKAFKA_BATCH) for workers in (1, 2)]
    found = [Course(each, workers, scale.wide_partitions) for each, workers in pairs]
    return [course for course in found if course.variant.name in variants]


async def run_pipeline(
    stage: Stage, scale: Scale, pack: AssessmentPack, *, variants: Collection[str], profile: bool
) -> Pipeline:
    """Run every variant's courses once per round, in an order that turns with the rounds.

    Before the first one, a worker of ours warms the engines up; that run is recounted and not reported.
    `profile`: look into one worker of each while it works, and show where it spends its time.
    """
    localities = [locality.code for locality in pack.localities]
    referrals = list(backlog(scale.events, localities))
    works = {count: Work(referrals[:count]) for count in _sizes(scale)}
    pipeline = Pipeline()

    async def run(course: Course, events: int, *, profile: bool = False) -> Measured:
        return await measure(
            stage,
            course.variant,
            works[events],
            pack,
            workers=course.workers,
            partitions=course.partitions,
            profile=profile,
        )

    pipeline.warm_up = await run(Course(LEADLINE, 1, scale.partitions), scale.warm_up_events)
    order = courses(scale, variants)
    begun = time.monotonic()
    for number in range(scale.rounds):
        if number and time.monotonic() - begun > scale.rounds_seconds:
            say(f"  no round {number + 1}: round {number} has taken the time of all")
            break
        now = [course for course in order if number < scale.single_rounds or not course.variant.single]
        for course in now if number else [*now, *wide_courses(scale, variants)]:
            wide = course.partitions == scale.wide_partitions
            events = scale.wide_events if wide else scale.events_of.get(course.variant.name, scale.events)
            measured = await run(course, events, profile=profile)
            pipeline.runs[course].append(measured)
            say(f"  round {number + 1}: {course.words}: {measured.events_s:,.0f} events/s")
        order = [*order[1:], order[0]]  # nobody is always first, or always after the same one
    return pipeline


def _sizes(scale: Scale) -> set[int]:
    """Return how large the backlogs are; all begin with the same events."""
    return {scale.warm_up_events, scale.events, *scale.events_of.values(), scale.wide_events}


def show(pipeline: Pipeline) -> None:
    """Print the pipeline's table."""
    rows = []
    for course, runs in pipeline.runs.items():
        speeds = [run.events_s for run in runs]
        rows.append(
            [
                course.words,
                f"{median(speeds):,.0f}",
                f"{min(speeds):,.0f}-{max(speeds):,.0f}",
                f"{median(run.published_s for run in runs):,.0f}",
                *(
                    f"{median(run.cpu_us(name) for run in runs):,.0f}"
                    for name in ("worker", "postgres", "kafka")
                ),
                f"{median(run.events / sum(run.cpu_seconds.values()) for run in runs):,.0f}",
                f"{median(run.stored_bytes / run.events for run in runs):,.0f}",
                f"{median(run.resident_mb for run in runs):,.0f}",
                f"{median(run.strangers for run in runs):.0%}",
                "yes" if not any(run.faults for run in runs) else "NO",
            ]
        )
    heads = [
        "pipeline: full backlog",
        "events/s",
        "spread",
        "to the bus/s",
        "worker us",
        "db us",
        "broker us",
    ]
    table(
        "consume, decide, commit, publish (medians; us: CPU microseconds per event)",
        [*heads, "events per CPU s", "stored B", "MB", "strangers", "consistent"],
        rows,
    )
    table(
        "where both cores went: shares of the machine's CPU time until everything was published",
        ["pipeline", *SHARES],
        [
            [course.words, *(f"{_median_share(runs, name):.0%}" for name in SHARES)]
            for course, runs in pipeline.runs.items()
        ],
    )
    for fault in pipeline.faults:
        say(f"  INCONSISTENT {fault}")


def _median_share(runs: Sequence[Measured], name: str) -> float:
    return median(run.shares[name] for run in runs)


def figures(pipeline: Pipeline, scale: Scale) -> dict[str, Any]:
    """Return the pipeline's part of the report; `share_of_limit` comes with the limit.

    A figure is left out when those it needs did not run.
    """
    few = scale.partitions
    one, two = Course(LEADLINE, 1, few), Course(LEADLINE, 2, few)
    single = [Course(peer, 1, few) for peer in PEERS if peer.single]
    batch = [Course(peer, 1, few) for peer in PEERS if not peer.single]
    speeds = {"one_worker_events_s": one, "two_workers_events_s": two}
    ratios = {
        "vs_best_per_event_peer": (one, single),
        "vs_best_batch_peer": (one, batch),
        "two_workers_vs_batch_peer": (two, [Course(AIOKAFKA_BATCH, 2, few)]),
    }
    ran = pipeline.runs.keys()
    found = {
        name: pipeline.ratio(ours, peers) for name, (ours, peers) in ratios.items() if {ours, *peers} <= ran
    }
    return {
        "pipeline": {
            name: round(pipeline.events_s(course)) for name, course in speeds.items() if course in ran
        }
        | {name: round(ratio.value, 2) for name, ratio in found.items()},
        "ratios": {name: asdict(ratio) for name, ratio in found.items()},
        "peers": {
            peer.name: {"events_s": round(pipeline.events_s(Course(peer, 1, few))), "words": peer.words}
            for peer in PEERS
            if Course(peer, 1, few) in ran
        },
        "courses": [_course(course, runs) for course, runs in pipeline.runs.items()],
    }


def speeds_of(report: Mapping[str, Any], variant: Variant, workers: int, partitions: int) -> list[float]:
    """Return how many events a second each round of a course made, from a report."""
    return [
        each["events"] / each["commit_seconds"]
        for course in report["courses"]
        if (course["variant"], course["workers"], course["partitions"]) == (variant.name, workers, partitions)
        for each in course["rounds"]
    ]


def _course(course: Course, runs: Sequence[Measured]) -> Mapping[str, Any]:
    return {
        "variant": course.variant.name,
        "workers": course.workers,
        "partitions": course.partitions,
        "events_s": round(median(run.events_s for run in runs)),
        "published_events_s": round(median(run.published_s for run in runs)),
        "cpu_us_per_event": {
            name: round(median(run.cpu_us(name) for run in runs), 1) for name in runs[0].cpu_seconds
        },
        "events_per_cpu_second": round(median(run.events / sum(run.cpu_seconds.values()) for run in runs)),
        "stored_bytes_per_event": round(median(run.stored_bytes / run.events for run in runs)),
        "machine_shares": {name: round(_median_share(runs, name), 3) for name in SHARES},
        "rounds": [asdict(run) for run in runs],
    }
