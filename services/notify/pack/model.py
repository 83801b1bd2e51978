"""The notify service's part of a policy pack: who is told of what, in which words."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from string import Formatter
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from schemas.events import Code, NotificationFailed
from schemas.events.codes import Channel, Origin, Role, Urgency
from schemas.topics import DEADLINES, TOPICS
from services.kernel.pack.model import Contradiction, Deadlines, Pack, Section, Words
from services.kernel.pack.organisation import (
    CountyDuty,
    Locality,
    Practitioner,
    Team,
    duty_contradictions,
    locality_contradictions,
    staff_contradictions,
)
from services.notify.pack.notifications import NotificationRules
from services.notify.referrers.policy import ReferrerRules

PLACEHOLDERS = frozenset({"deadline", "due_on"})
"""What `says` may leave open: the deadline's own words in the pack, and its day."""
_DEADLINE_STATES = frozenset(event.name for event in DEADLINES)
RECIPIENT_MISSING = "recipient.missing"
"""The kind of an alert about another alert: that one had no recipient, so the duty inbox has it."""
_PUBLISHED = frozenset(event.name for topic in TOPICS if topic.owner != "partners" for event in topic.events)


def _only_known_placeholders(says: str) -> str:
    parsed = list(Formatter().parse(says))
    unknown = {name for _, name, _, _ in parsed if name is not None} - PLACEHOLDERS
    if any(spec or conversion for _, _, spec, conversion in parsed):
        message = "a placeholder takes neither ! nor : with something after it"
        raise ValueError(message)
    if unknown:
        message = f"{{{min(unknown)}}} is not a placeholder; {{deadline}} and {{due_on}} are"
        raise ValueError(message)
    return says


Subject = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+(:([a-z0-9_]+|\*))?$")]
"""An event's wire type without its version; a deadline's state with `:` and its kind, or `:*` for any."""


EventName = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+$")]
"""An event's wire type without its version."""


class AlertRule(Section):
    """Who is told when an event arrives."""

    on: Subject
    to: tuple[Role, ...] = Field(min_length=1)
    urgency: Urgency
    says: Annotated[Words, AfterValidator(_only_known_placeholders)]
    next_step: Words
    """What to do now."""
    channels: tuple[Channel, ...] | None = None
    """On which channels the alert leaves the inbox; none stated: those of its urgency."""
    template: Code = "alert"
    """Which of the channels' templates carries it."""
    without_lead: Role | None = Role.DUTY_INBOX
    """Who is told in place of a lead professional whom the case does not have; null: nobody."""
    vacancy: bool = True
    """Whether a missing recipient raises an alert of its own; false where it is the ordinary state."""
    settled_by: tuple[EventName, ...] = ()
    """Events after which nothing is left to be done about it: of the same thing, of a deadline the same."""
    origins: tuple[Origin, ...] = ("leadline",)
    """Facts from elsewhere (an imported return is history) alert nobody unless they are named here."""

    def text(self, *, deadline: str = "", due_on: str = "") -> str:
        """Return `says` with the deadline's words and its day filled in; nothing personal goes in."""
        return self.says.format(deadline=deadline, due_on=due_on)


class NotifyPack(Pack):
    """The policy pack of notify: how people are reached, and which events alert whom."""

    localities: tuple[Locality, ...] = Field(min_length=1)
    teams: tuple[Team, ...] = Field(min_length=1)
    practitioners: tuple[Practitioner, ...] = Field(min_length=1)
    county_duty: CountyDuty
    deadlines: Deadlines
    notifications: NotificationRules
    referrers: ReferrerRules
    alerts: tuple[AlertRule, ...] = Field(min_length=1)
    silent: tuple[Subject, ...]
    """Events that alert nobody, on purpose."""

    def alerts_for(self, name: str, kind: str | None = None) -> tuple[AlertRule, ...] | None:
        """Return the rules for an event's `name` and, for a deadline, its `kind`.

        An entry for exactly this kind, in `alerts` or in `silent`, wins over one with `*`. Empty: silent on
        purpose. None: the pack says nothing about this event.
        """
        subjects = (name,) if kind is None else (f"{name}:{kind}", f"{name}:*")
        for subject in subjects:
            if subject in self._rules:
                return self._rules[subject]
        return None

    def is_urgent(self, kind: str) -> bool:
        """Return whether an alert of a kind, for example `deadline.overdue:assessment`, can be urgent."""
        name, _, deadline = kind.partition(":")
        found = self.alerts_for(name, deadline or None) or ()
        if deadline == "*":
            found = tuple(rule for rule in self.alerts if rule.on.partition(":")[0] == name)
        return any(rule.urgency is Urgency.URGENT for rule in found)

    @property
    def kinds(self) -> frozenset[str]:
        """Return every kind of alert there can be, a deadline's state also with `:*`, and `*` for all."""
        names = {rule.on.partition(":")[0] for rule in self.alerts}
        states = names & _DEADLINE_STATES
        of_deadlines = {f"{name}:{kind}" for name in states for kind in ("*", *self.deadlines.by_kind)}
        return frozenset({"*", *(names - states), *of_deadlines})

    def settled_kinds(self, name: str, kind: str | None = None) -> Iterator[str]:
        """Yield the kinds of alerts that an event settles; `kind` is that of a deadline's event."""
        for rule in self.alerts:
            if name in rule.settled_by:
                yield rule.on.replace(":*", f":{kind}") if kind is not None else rule.on

    @cached_property
    def practitioner_ids(self) -> frozenset[str]:
        """Everybody who works here: any other holder of a role has left."""
        return frozenset(practitioner.id for practitioner in self.practitioners)

    @cached_property
    def team_by_code(self) -> Mapping[str, Team]:
        """Every team by its code."""
        return MappingProxyType({team.code: team for team in self.teams})

    @cached_property
    def team_by_locality(self) -> Mapping[str, Team]:
        """The team that serves a locality, by the locality's code."""
        return MappingProxyType(
            {locality.code: self.team_by_code[locality.team] for locality in self.localities}
        )

    @cached_property
    def _rules(self) -> Mapping[str, tuple[AlertRule, ...]]:
        rules: dict[str, tuple[AlertRule, ...]] = dict.fromkeys(self.silent, ())
        for rule in self.alerts:
            rules[rule.on] = (*rules.get(rule.on, ()), rule)
        return MappingProxyType(rules)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield unknown teams, people, events and kinds, and events both silent and alerted."""
        yield from locality_contradictions(self.localities, self.teams)
        yield from staff_contradictions(self.teams, self.practitioners)
        yield from duty_contradictions(self.county_duty, self.practitioners)
        alerted = {rule.on for rule in self.alerts}
        for index, rule in enumerate(self.alerts):
            yield from self._unknown(("alerts", index, "on"), rule.on)
            for name in rule.settled_by:
                if name not in _PUBLISHED:
                    yield ("alerts", index, "settled_by"), f"no service publishes {name}"
            if rule.on == NotificationFailed.name and rule.channels != ():
                why = "what could not be sent is not told by sending: state channels: []"
                yield ("alerts", index, "channels"), why
        for index, subject in enumerate(self.silent):
            yield from self._unknown(("silent", index), subject)
            if subject in alerted:
                yield ("silent", index), f"{subject} is silent here and alerts somebody above"

    def _unknown(self, place: tuple[str | int, ...], subject: str) -> Iterator[Contradiction]:
        name, colon, kind = subject.partition(":")
        if name == RECIPIENT_MISSING and not colon:
            return
        if name not in _PUBLISHED:
            yield place, f"no service publishes {name}"
        elif (name in _DEADLINE_STATES) is not bool(colon):
            yield place, "a deadline's state, and nothing else, takes a kind after a colon (or * for any)"
        elif colon and kind != "*" and kind not in self.deadlines.by_kind:
            yield place, f"deadlines has no {kind}"
