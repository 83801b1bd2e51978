"""Throughput from the moments at which batches began: a baseline, its spread, and when it is back. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from statistics import median

from tests.bench.percentiles import percentile

WINDOW_SECONDS = 1.0
STEP_SECONDS = 0.1
"""Windows begin so long after each other."""

BASELINE_SECONDS = 8.0
CONFIRM_SECONDS = 4.0
ENOUGH = 0.95


@dataclass(frozen=True, slots=True)
class Sample:
    """How many events were done at a moment, in seconds."""

    at: float
    events: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """Events per second when all is well: the median, and the lowest and highest tenth."""

    events_s: float
    low: float
    high: float

    @property
    def enough(self) -> float:
        """Return from what on throughput is back."""
        return ENOUGH * self.events_s


@dataclass(frozen=True, slots=True)
class Recovery:
    """How soon throughput was back, and how high it then stayed, in events per second."""

    seconds: float
    after: float


def course(batches: Iterable[tuple[float, int]]) -> list[Sample]:
    """Return how many events were done at the beginning of each batch; of the last, only that is known.

    `batches` are the moments at which transactions began, with their sizes, in order: when one begins, those
    before it are committed.
    """
    samples: list[Sample] = []
    done = 0
    for begun, events in batches:
        samples.append(Sample(begun, done))
        done += events
    return samples


def rate(samples: Sequence[Sample], begin: float, end: float) -> float:
    """Return events per second between two moments. A batch's events come evenly while it is worked on."""
    return (_events_at(samples, end) - _events_at(samples, begin)) / (end - begin)


def windows(samples: Sequence[Sample], begin: float, end: float) -> list[tuple[float, float]]:
    """Return the end and the throughput of every window that lies between two moments, in order."""
    count = floor((end - begin - WINDOW_SECONDS) / STEP_SECONDS + 1e-9) + 1
    ends = [begin + WINDOW_SECONDS + number * STEP_SECONDS for number in range(max(0, count))]
    return [(each, rate(samples, each - WINDOW_SECONDS, each)) for each in ends]


def baseline(samples: Sequence[Sample], until: float) -> Baseline:
    """Return the baseline of the BASELINE_SECONDS before a moment."""
    rates = [each for _, each in windows(samples, until - BASELINE_SECONDS, until)]
    return Baseline(median(rates), percentile(rates, 0.1), percentile(rates, 0.9))


def recovery(samples: Sequence[Sample], healed: float, normal: Baseline) -> Recovery | None:
    """Return when throughput was back to stay; None when it was not before the samples end."""
    for back, reached in windows(samples, healed, samples[-1].at - CONFIRM_SECONDS):
        if reached < normal.enough:
            continue
        after = median(each for _, each in windows(samples, back, back + CONFIRM_SECONDS))
        if after >= min(normal.enough, normal.low):
            return Recovery(back - healed, after)
    return None


def _events_at(samples: Sequence[Sample], at: float) -> float:
    """Return the count at a moment, on the line between the samples around it."""
    index = bisect_right(samples, at, key=lambda sample: sample.at)
    if index == 0:
        return samples[0].events
    before = samples[index - 1]
    if index == len(samples):
        return before.events
    after = samples[index]
    return before.events + (after.events - before.events) * (at - before.at) / (after.at - before.at)
