"""Who may lead a case, and which of them has the most room. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from services.assessment.pack import AssessmentPack

Reason = Literal["least_weighted_caseload", "covering_from_another_locality"]


@dataclass(frozen=True, slots=True)
class Leader:
    """A practitioner who leads cases. `capacity` is the share for leading cases, in points, above 0."""

    practitioner_id: str
    team: str
    capacity: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who may lead a case in one locality, by id, and the reason that the assignment will carry."""

    team: str | None
    """The locality's own team; None for a locality that is not in the pack."""
    leaders: tuple[Leader, ...]
    reason: Reason


class Roster:
    """Who leads cases under one policy pack."""

    def __init__(self, leaders: Sequence[Leader], team_of_locality: Mapping[str, str]) -> None:
        self.leaders = {leader.practitioner_id: leader for leader in _by_id(leaders)}
        teams: defaultdict[str, list[Leader]] = defaultdict(list)
        for leader in self.leaders.values():
            teams[leader.team].append(leader)
        self._teams = {team: tuple(members) for team, members in teams.items()}
        self._team_of_locality = team_of_locality

    @classmethod
    def of(cls, pack: AssessmentPack) -> Self:
        """Return a pack's roster: all team members whose role leaves points for leading cases."""
        leaders = [
            Leader(person.id, person.team, pack.points_of[person.id])
            for person in pack.practitioners
            if person.team is not None and pack.points_of[person.id] > 0
        ]
        return cls(leaders, pack.team_of_locality)

    def candidates(self, locality: str) -> Candidates:
        """Return the leaders of the locality's team; those of every team when it has none."""
        team = self._team_of_locality.get(locality)
        own = self._teams.get(team, ()) if team is not None else ()
        if own:
            return Candidates(team, own, "least_weighted_caseload")
        return Candidates(team, tuple(self.leaders.values()), "covering_from_another_locality")


def weighted(points: int, leader: Leader) -> float:
    """Return how full a leader's caseload is: 1.0 is their whole capacity for leading cases."""
    return points / leader.capacity


def least_loaded(leaders: Sequence[Leader], points: Mapping[str, int]) -> Leader:
    """Return the leader with the least weighted caseload; on a tie the lowest id. ValueError if empty."""
    return min(
        leaders,
        key=lambda leader: (weighted(points.get(leader.practitioner_id, 0), leader), leader.practitioner_id),
    )


def _by_id(leaders: Sequence[Leader]) -> list[Leader]:
    return sorted(leaders, key=lambda leader: leader.practitioner_id)
