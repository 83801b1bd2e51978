"""When a triage rule applies: a small language a council can write, and its pure evaluation."""

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from schemas.events.codes import AgencyKind, Concern
from services.kernel.pack.model import Section


@dataclass(frozen=True, slots=True)
class ReferralFacts:
    """What triage may look at."""

    agency: AgencyKind
    concerns: tuple[Concern, ...]
    immediate_risk: bool = False
    information_only: bool = False


class TriageCondition(Section):
    """All stated parts must hold; omitted parts do not matter."""

    any_concern: tuple[Concern, ...] | None = Field(None, min_length=1)
    """At least one of these concerns is reported."""
    all_concerns: tuple[Concern, ...] | None = Field(None, min_length=1)
    """Every one of these concerns is reported."""
    concerns_at_least: int | None = Field(None, ge=1, le=len(Concern))
    """At least this many different concerns are reported."""
    agency: tuple[AgencyKind, ...] | None = Field(None, min_length=1)
    """The referrer is one of these kinds."""
    immediate_risk: bool | None = None
    information_only: bool | None = None
    any_of: tuple["TriageCondition", ...] | None = Field(None, min_length=2)
    """At least one of these conditions holds."""

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            message = "a condition that states nothing would always hold: use `otherwise`"
            raise ValueError(message)
        return self


def matches(condition: TriageCondition, facts: ReferralFacts) -> bool:
    """Return whether every stated part of `condition` holds for `facts`."""
    reported = set(facts.concerns)
    return (
        (condition.any_concern is None or not reported.isdisjoint(condition.any_concern))
        and (condition.all_concerns is None or reported.issuperset(condition.all_concerns))
        and (condition.concerns_at_least is None or len(reported) >= condition.concerns_at_least)
        and (condition.agency is None or facts.agency in condition.agency)
        and (condition.immediate_risk is None or facts.immediate_risk is condition.immediate_risk)
        and (condition.information_only is None or facts.information_only is condition.information_only)
        and (condition.any_of is None or any(matches(option, facts) for option in condition.any_of))
    )
