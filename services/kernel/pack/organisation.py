"""Who works where, according to a pack. Ids and codes only: a pack names no person."""

from collections.abc import Iterable, Iterator

from pydantic import Field

from schemas.events.base import Code
from services.kernel.pack.model import Contradiction, Section, Words, repeated


class Locality(Section):
    """A part of the county and its team."""

    code: Code
    name: Words
    team: Code


class Team(Section):
    """A team, its manager, and its shared inbox, which is always watched."""

    code: Code
    name: Words
    manager: Code
    duty_inbox: Code


class Practitioner(Section):
    """A person who works with families, or manages those who do."""

    id: Code
    role: Code
    team: Code | None = None
    """None: works for the whole county."""
    capacity: int = Field(ge=0, le=1000)
    """Caseload points this person can carry; 0 for a person who leads no cases."""


class CountyDuty(Section):
    """The recipient when no team can be named."""

    duty_inbox: Code
    manager: Code
    placements_officer: Code
    operations: Code
    independent_reviewing_officer: Code | None = None
    """Who is responsible for reviews before a child's first one; none: the duty inbox."""
    commissioner: Code | None = None


def locality_contradictions(
    localities: tuple[Locality, ...], teams: tuple[Team, ...] | None = None
) -> Iterator[Contradiction]:
    """Yield duplicate localities and, when `teams` are given, those whose team does not exist."""
    yield from repeated("localities", "code", (locality.code for locality in localities))
    if teams is None:
        return
    known = {team.code for team in teams}
    for index, locality in enumerate(localities):
        if locality.team not in known:
            yield ("localities", index, "team"), f"there is no team {locality.team}"


def staff_contradictions(
    teams: tuple[Team, ...], practitioners: tuple[Practitioner, ...]
) -> Iterator[Contradiction]:
    """Yield teams and practitioners that are duplicates or refer to one another wrongly."""
    yield from repeated("teams", "code", (team.code for team in teams))
    yield from repeated("practitioners", "id", (practitioner.id for practitioner in practitioners))
    known_teams = {team.code for team in teams}
    for index, practitioner in enumerate(practitioners):
        if practitioner.team is not None and practitioner.team not in known_teams:
            yield ("practitioners", index, "team"), f"there is no team {practitioner.team}"
    for index, team in enumerate(teams):
        yield from _unknown_worker(("teams", index, "manager"), team.manager, practitioners)


def duty_contradictions(duty: CountyDuty, practitioners: tuple[Practitioner, ...]) -> Iterator[Contradiction]:
    """Yield county-wide posts held by unknown practitioners; inboxes are free codes."""
    yield from _unknown_worker(("county_duty", "manager"), duty.manager, practitioners)
    yield from _unknown_worker(("county_duty", "placements_officer"), duty.placements_officer, practitioners)
    for post in ("independent_reviewing_officer", "commissioner"):
        worker = getattr(duty, post)
        if worker is not None:
            yield from _unknown_worker(("county_duty", post), worker, practitioners)


def _unknown_worker(
    place: tuple[str | int, ...], worker: str, practitioners: Iterable[Practitioner]
) -> Iterator[Contradiction]:
    if all(worker != practitioner.id for practitioner in practitioners):
        yield place, f"there is no practitioner {worker}"
