"""The parts of a policy pack that the referral service reads."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.events.base import Code, RuleFired
from schemas.events.codes import Level
from services.kernel.deadlines.rules import DeadlineRule
from services.kernel.pack.model import Contradiction, Deadlines, Pack, Section, Words, repeated
from services.kernel.pack.organisation import Locality, locality_contradictions
from services.referral.conditions import ReferralFacts, TriageCondition, matches


class TriageAdvice(Section):
    """What the pack advises for a referral, and why, in its own words. A person decides."""

    code: Code
    words: Words
    recommend: Literal["accept", "redirect", "close"]
    level: Level
    """The level that the facts indicate; an acceptance against the advice needs one as well."""
    reason: Literal["no_further_action", "information_only"] | None = None
    """Why the referral is closed; given only where the advice is to close."""

    @model_validator(mode="after")
    def _closing_has_a_reason(self) -> Self:
        if (self.recommend == "close") is (self.reason is None):
            message = "state a reason exactly when the recommendation is to close"
            raise ValueError(message)
        return self

    @property
    def fired(self) -> RuleFired:
        """Return the rule as a decision's event carries it."""
        return RuleFired(code=self.code, words=self.words)


class TriageRule(TriageAdvice):
    """Advice for referrals that match a condition."""

    when: TriageCondition


class Triage(Section):
    """Rules in order of precedence: the first match advises; `otherwise` when none matches."""

    rules: tuple[TriageRule, ...] = Field(min_length=1)
    otherwise: TriageAdvice

    def advise(self, facts: ReferralFacts) -> TriageAdvice:
        """Return the advice for a referral: the first matching rule, or `otherwise`."""
        for rule in self.rules:
            if matches(rule.when, facts):
                return rule
        return self.otherwise


class ReferralDeadlines(Deadlines):
    """The kinds of deadline that the referral service keeps."""

    triage_decision: DeadlineRule


class ReferralPack(Pack):
    """Localities, triage rules and the clock for the decision."""

    localities: tuple[Locality, ...] = Field(min_length=1)
    triage: Triage
    deadlines: ReferralDeadlines

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield duplicate localities and rules."""
        yield from locality_contradictions(self.localities)
        codes = [rule.code for rule in self.triage.rules]
        for (_, *place), what in repeated("rules", "code", iter(codes)):
            yield ("triage", "rules", *place), what
        if self.triage.otherwise.code in codes:
            yield ("triage", "otherwise", "code"), f"{self.triage.otherwise.code} is a rule's code"
