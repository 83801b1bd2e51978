"""Percentiles of what was measured, by nearest rank: every figure is one that occurred."""

from collections.abc import Sequence
from math import ceil


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all values do not exceed.

    ValueError for no values.
    """
    if not values:
        message = "no values"
        raise ValueError(message)
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and p999 in milliseconds."""
    return {
        name: round(percentile(seconds, share) * 1000, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    }
