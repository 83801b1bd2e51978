"""The list of demo users, from the policy pack: whom a visitor may choose to be until there is a sign-in."""

from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from schemas.events import Code
from services.kernel.pack.people import Person, agency, find_person
from services.kernel.postgres.connection import Engine
from services.kernel.web.pages.identity import Choice, ChoiceGroup
from services.notify.pack.model import NotifyPack
from services.notify.queries import lists as reading

CODE: TypeAdapter[str] = TypeAdapter(Code)


class DemoUsers:
    """Believes any visitor who picks a name: for a demo on your own machine, and nowhere else."""

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
