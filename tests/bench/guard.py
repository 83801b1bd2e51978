"""What a change costs in speed: a run's ratios beside those of the last landed run. Nothing here measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Self

LEAST_SPREAD = 0.05
"""Of a ratio: by so much two quick runs of one revision differ, whatever their one or two rounds say."""

State = Literal["slower", "within the spread", "faster", "missing", "new"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast we were as others in the same run: the median of the rounds, and their range."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Self:
        """Return the ratio of some rounds; at least one."""
        return cls(*(round(each, 3) for each in (median(rounds), min(rounds), max(rounds))))

    @classmethod
    def read(cls, figures: Mapping[str, float]) -> Self:
        """Return what a report says. KeyError when it does not."""
        return cls(figures["value"], figures["low"], figures["high"])

    @property
    def half(self) -> float:
        """Return half of the range."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """One ratio, then and now."""

    name: str
    state: State
    before: Ratio | None = None
    now: Ratio | None = None

    @property
    def words(self) -> str:
        """Return a line for a person, and for the message of a landing."""
        if self.before is not None and self.now is not None:
            change = self.now.value / self.before.value - 1
            beyond = spread(self.before, self.now) / self.before.value
            return (
                f"{self.name}: {self.state} ({self.before.value:.2f} before, {self.now.value:.2f} now:"
                f" {change:+.0%}, spread {beyond:.0%})"
            )
        known = self.before or self.now
        return f"{self.name}: {self.state}" + ("" if known is None else f" ({known.value:.2f})")


def spread(before: Ratio, now: Ratio) -> float:
    """Return by how much a ratio may differ and mean nothing: half the wider range, or the least."""
    return max(before.half, now.half, LEAST_SPREAD * before.value)


def compare(
    before: Mapping[str, Ratio], now: Mapping[str, Ratio], *, whole: bool = True
) -> Iterator[Verdict]:
    """Yield a verdict on every ratio; more is better. In a run that is not `whole` nothing is missing."""
    for name, was in before.items():
        if name in now:
            yield Verdict(name, _state(was, now[name]), was, now[name])
        elif whole:
            yield Verdict(name, "missing", before=was)
    for name, found in now.items():
        if name not in before:
            yield Verdict(name, "new", now=found)


def _state(was: Ratio, found: Ratio) -> State:
    difference = found.value - was.value
    if abs(difference) <= spread(was, found):
        return "within the spread"
    return "faster" if difference > 0 else "slower"


def ratios_of(report: Mapping[str, Any]) -> dict[str, Ratio]:
    """Return the ratios of a report, or of what was landed."""
    return {name: Ratio.read(figures) for name, figures in report.get("ratios", {}).items()}
