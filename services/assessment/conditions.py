"""When a threshold rule is met: a small language a council can write, and its pure evaluation."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from schemas.events.codes import Level, NeedDomain
from services.kernel.pack.model import Section


class AtLeast(Section):
    """At least this many domains at this level or above."""

    domains: int = Field(ge=1, le=len(NeedDomain))
    level: Level


class ThresholdCondition(Section):
    """All stated parts must hold; omitted parts do not matter."""

    at_least: AtLeast | None = None
    domain: NeedDomain | None = None
    """This domain is at `level` or above; the two are stated together."""
    level: Level | None = None
    highest_level: Level | None = None
    """The highest level found in any domain is exactly this."""
    any_of: tuple["ThresholdCondition", ...] | None = Field(None, min_length=2)
    """At least one of these conditions holds."""

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if (self.domain is None) is not (self.level is None):
            message = "domain and level are stated together"
            raise ValueError(message)
        if all(getattr(self, name) is None for name in type(self).model_fields):
            message = "a condition that states nothing would always hold: use `otherwise`"
            raise ValueError(message)
        return self


def matches(condition: ThresholdCondition, needs: Mapping[NeedDomain, int]) -> bool:
    """Return whether every stated part of `condition` holds; a domain not in `needs` has no need."""
    several, domain, level = condition.at_least, condition.domain, condition.level
    highest = condition.highest_level
    return (
        (several is None or sum(need >= several.level for need in needs.values()) >= several.domains)
        and (domain is None or level is None or needs.get(domain, 0) >= level)
        and (highest is None or max(needs.values(), default=0) == highest)
        and (condition.any_of is None or any(matches(option, needs) for option in condition.any_of))
    )
