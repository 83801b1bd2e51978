"""Who may see what: a person with their inboxes and boards, from the policy pack. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from services.kernel.pack.organisation import CountyDuty, Practitioner, Team

Kind = Literal["practitioner", "shared_inbox", "operations", "agency"]


class Organisation(Protocol):
    """A policy pack that says who works where."""

    @property
    def practitioners(self) -> Sequence[Practitioner]:
        """All who work with families, or manage those who do."""
        ...

    @property
    def teams(self) -> Sequence[Team]:
        """The teams, with their managers and shared inboxes."""
        ...

    @property
    def county_duty(self) -> CountyDuty:
        """The recipient when no team can be named."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """A person who has signed in. `inboxes` begins with their own."""

    person_id: str
    kind: Kind
    role: str
    """Their role, as a code of the pack."""
    inboxes: tuple[str, ...]
    boards: tuple[str, ...] = ()
    """The teams that they manage."""

    @property
    def works_with_children(self) -> bool:
        """Whether this person may work with children: a referring agency never sees a chronology."""
        return self.kind in {"practitioner", "shared_inbox"}


def find_person(pack: Organisation, person_id: str) -> Person | None:
    """Return a person whom the pack names; None for anyone else.

    All members of a team also share its inbox, and managers those of their teams.
    """
    for practitioner in pack.practitioners:
        if practitioner.id == person_id:
            return _practitioner(pack, practitioner)
    if person_id == pack.county_duty.operations:
        return Person(person_id, "operations", "operations", (person_id,))
    if person_id in {pack.county_duty.duty_inbox, *(team.duty_inbox for team in pack.teams)}:
        return Person(person_id, "shared_inbox", "duty_inbox", (person_id,))
    return None


def agency(agency_id: str) -> Person:
    """Return a referring agency as a person: it sees the messages to it, and nothing else."""
    return Person(agency_id, "agency", "referrer", (agency_id,))


def members_of(pack: Organisation, team: Team) -> tuple[str, ...]:
    """Return the owners of the work on a team's board: its people, its manager and its shared inbox."""
    people = [each.id for each in pack.practitioners if each.team == team.code]
    return tuple(dict.fromkeys([*people, team.manager, team.duty_inbox]))


def managed_by(pack: Organisation, person: Person) -> frozenset[str]:
    """Return the ids of all whose work a manager may view; empty for anyone else."""
    teams = (team for team in pack.teams if team.code in person.boards)
    return frozenset(member for team in teams for member in members_of(pack, team))


def _practitioner(pack: Organisation, practitioner: Practitioner) -> Person:
    of_county = practitioner.id == pack.county_duty.manager
    managed = tuple(team for team in pack.teams if of_county or team.manager == practitioner.id)
    own = tuple(team for team in pack.teams if team.code == practitioner.team)
    shared = [team.duty_inbox for team in (own if of_county else (*own, *managed))]
    if of_county:
        shared.append(pack.county_duty.duty_inbox)
    return Person(
        practitioner.id,
        "practitioner",
        practitioner.role,
        tuple(dict.fromkeys([practitioner.id, *shared])),
        tuple(team.code for team in managed),
    )
