"""The parts of a policy pack that the assessment service reads."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from schemas.events.base import Code, RuleFired
from schemas.events.codes import Level, NeedDomain
from services.assessment.conditions import ThresholdCondition, matches
from services.kernel.deadlines.rules import DeadlineRule
from services.kernel.pack.model import Contradiction, Deadlines, Pack, Section, Words, repeated
from services.kernel.pack.organisation import (
    Locality,
    Practitioner,
    Team,
    locality_contradictions,
    staff_contradictions,
)


class Reason(Section):
    """A rule's code and its words, as a decision carries them."""

    code: Code
    words: Words

    @property
    def fired(self) -> RuleFired:
        """Return the rule as a decision's event carries it."""
        return RuleFired(code=self.code, words=self.words)


class ThresholdRule(Reason):
    """Needs that match `when` meet the threshold of `level`."""

    when: ThresholdCondition
    level: Level


class Threshold(Section):
    """All rules are evaluated; the highest level that is met counts."""

    rules: tuple[ThresholdRule, ...] = Field(min_length=1)
    otherwise: Reason
    """Why the threshold is not met when no rule matches."""

    def met_by(self, needs: Mapping[NeedDomain, int]) -> tuple[ThresholdRule, ...]:
        """Return every rule that the needs meet, highest level first; empty when no threshold is met."""
        met = [rule for rule in self.rules if matches(rule.when, needs)]
        return tuple(sorted(met, key=lambda rule: -rule.level))


class CaseloadRules(Section):
    """How much of a person's capacity a case takes."""

    weights: dict[Level, Annotated[int, Field(ge=1)]]
    """Points of a case by its level."""
    roles: dict[Code, Annotated[float, Field(ge=0, le=1)]]
    """The share of a role's capacity that is for leading cases; 0: this role leads none."""


class AssessmentDeadlines(Deadlines):
    """The kinds of deadline that the assessment service keeps."""

    assessment: DeadlineRule
    plan_review: DeadlineRule


class AssessmentPack(Pack):
    """Who works where, how needs become a level, and the clocks of assessment and plan."""

    localities: tuple[Locality, ...] = Field(min_length=1)
    teams: tuple[Team, ...] = Field(min_length=1)
    practitioners: tuple[Practitioner, ...] = Field(min_length=1)
    threshold: Threshold
    caseload: CaseloadRules
    deadlines: AssessmentDeadlines

    @cached_property
    def team_of_locality(self) -> Mapping[str, str]:
        """Code of the team by code of the locality that it serves."""
        return MappingProxyType({locality.code: locality.team for locality in self.localities})

    @cached_property
    def points_of(self) -> Mapping[str, float]:
        """Points for leading cases by practitioner: capacity times the role's share."""
        shares = self.caseload.roles
        return MappingProxyType(
            {person.id: person.capacity * shares[person.role] for person in self.practitioners}
        )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield unknown teams, managers and roles, levels without a weight, and duplicate entries."""
        yield from locality_contradictions(self.localities, self.teams)
        yield from staff_contradictions(self.teams, self.practitioners)
        for index, person in enumerate(self.practitioners):
            if person.role not in self.caseload.roles:
                yield ("practitioners", index, "role"), f"caseload.roles has no {person.role}"
        for level in sorted({1, 2, 3, 4} - set(self.caseload.weights)):
            yield ("caseload", "weights"), f"level {level} has no weight"
        codes = [rule.code for rule in self.threshold.rules]
        for (_, *place), what in repeated("rules", "code", iter(codes)):
            yield ("threshold", "rules", *place), what
        if self.threshold.otherwise.code in codes:
            yield ("threshold", "otherwise", "code"), f"{self.threshold.otherwise.code} is a rule's code"
