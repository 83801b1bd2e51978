"""The simulated county's part of a council's policy pack: where people live and who works there."""

from collections import defaultdict
from functools import cached_property

from services.kernel.pack.model import Pack
from services.kernel.pack.organisation import CountyDuty, Locality, Practitioner, Team


class CountyPack(Pack):
    """Localities, teams and practitioners. Ids and codes; the pack names no person."""

    localities: tuple[Locality, ...]
    teams: tuple[Team, ...]
    practitioners: tuple[Practitioner, ...]
    county_duty: CountyDuty

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The codes of the localities."""
        return tuple(locality.code for locality in self.localities)

    @cached_property
    def workers_by_locality(self) -> dict[str, tuple[str, ...]]:
        """The duty workers of each locality: those who lead cases in its team, else the team's manager."""
        members: defaultdict[str, list[str]] = defaultdict(list)
        for person in self.practitioners:
            if person.team is not None and person.capacity > 0:
                members[person.team].append(person.id)
        managers = {team.code: team.manager for team in self.teams}
        return {
            place.code: tuple(sorted(members[place.team])) or (managers[place.team],)
            for place in self.localities
        }
