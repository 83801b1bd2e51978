"""Chance that is the same in every run."""

from random import Random
from uuid import UUID, uuid5

COUNTY = UUID("b2f7c8a1-5c0e-5d5b-8f1f-2d8c5c1f9a37")
"""Namespace of the simulated county's ids."""


def draw(seed: int, *about: object) -> Random:
    """Return the chance that belongs to a thing: it depends on the seed and on `about`, never on order.

    The numbers are the same whichever caller asks first, and after a restart.
    """
    return Random("/".join(map(str, (seed, *about))))  # noqa: S311 - a simulation, not a secret


def county_id(seed: int, *about: object) -> UUID:
    """Return the id of a thing in the county: always the same for the same seed."""
    return uuid5(COUNTY, "/".join(map(str, (seed, *about))))


def counted(chance: Random, mean: float) -> int:
    """Return how often something happens that happens `mean` times on average, independently."""
    # Knuth's method; the means here are a few calls a day.
    times, left = 0, chance.expovariate(1.0)
    while left < mean:
        times += 1
        left += chance.expovariate(1.0)
    return times
