"""Signing in: one interface, and the list of demo users that stands behind it until OpenID Connect does."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from schemas.events import Code
from services.kernel.postgres.connection import Engine
from services.notify.pack.model import NotifyPack
from services.notify.pages.people import Person, agency, find_person
from services.notify.queries import lists as reading

CODE: TypeAdapter[str] = TypeAdapter(Code)


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list of people to sign in as."""

    person_id: str
    role: str
    waiting: int = 0
    """How many alerts they have to do."""


@dataclass(frozen=True, slots=True)
class ChoiceGroup:
    """A team, or another group, of the list."""

    words: str
    choices: tuple[Choice, ...]


class Identity(Protocol):
    """Says who somebody is. What they may then see is `people`'s to say, whatever stands behind this.

    OpenID Connect will answer `choices` with nothing and send the browser to its provider.
    """

    async def choices(self, *, now: datetime) -> tuple[ChoiceGroup, ...]:
        """Return whom a visitor may choose to be; none where signing in is somebody else's."""
        ...

    async def prove(self, claim: str) -> Person | None:
        """Return the person whom a visitor's claim proves; None when it proves nobody."""
        ...

    async def find(self, person_id: str) -> Person | None:
        """Return whom a session names; None when they are nobody here any more."""
        ...


class Nobody:
    """No sign-in is set up: the pages stay shut."""

    async def choices(self, *, now: datetime) -> tuple[ChoiceGroup, ...]:  # noqa: ARG002 - there is nobody
        """Return nobody."""
        return ()

    async def prove(self, claim: str) -> Person | None:  # noqa: ARG002 - it proves nothing
        """Return nobody."""
        return None

    async def find(self, person_id: str) -> Person | None:  # noqa: ARG002 - nobody is found
        """Return nobody."""
        return None


class DemoUsers:
    """Whoever is chosen from the list is believed: for a demo on one's own machine, and nowhere else."""

    def __init__(self, pack: NotifyPack, engine: Engine) -> None:
        self._pack = pack
        self._engine = engine

    async def choices(self, *, now: datetime) -> tuple[ChoiceGroup, ...]:
        """Return the pack's people by team, the shared inboxes, and agencies that were told something."""
        pack = self._pack
        county = [each for each in pack.practitioners if each.team is None]
        groups = [ChoiceGroup("The whole county", tuple(Choice(each.id, each.role) for each in county))]
        for team in pack.teams:
            people = [each for each in pack.practitioners if each.team == team.code]
            choices = (
                *(Choice(each.id, each.role) for each in people),
                Choice(team.duty_inbox, "duty_inbox"),
            )
            groups.append(ChoiceGroup(team.name, choices))
        duty = pack.county_duty
        shared = (Choice(duty.duty_inbox, "duty_inbox"), Choice(duty.operations, "operations"))
        groups.append(ChoiceGroup("County-wide inboxes", shared))
        async with self._engine.connect() as connection:
            agencies = await reading.list_agencies(connection)
            groups.append(
                ChoiceGroup("Referring agencies", tuple(Choice(each, "referrer") for each in agencies))
            )
            everybody = [choice.person_id for group in groups for choice in group.choices]
            waiting = await reading.count_open(connection, everybody, now=now)
        return tuple(
            ChoiceGroup(
                group.words,
                tuple(replace(each, waiting=waiting.get(each.person_id, 0)) for each in group.choices),
            )
            for group in groups
            if group.choices
        )

    async def prove(self, claim: str) -> Person | None:
        """Believe the claim."""
        return await self.find(claim)

    async def find(self, person_id: str) -> Person | None:
        """Return somebody of the pack, or an agency that was told something."""
        found = find_person(self._pack, person_id)
        if found is not None:
            return found
        if not _is_code(person_id):
            return None
        async with self._engine.connect() as connection:
            known = await reading.is_agency(connection, person_id)
        return agency(person_id) if known else None


def _is_code(text: str) -> bool:
    try:
        CODE.validate_python(text)
    except ValidationError:
        return False
    return True
