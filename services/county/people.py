"""The county's people and referring agencies: ids and codes, generated from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self
from uuid import UUID

from schemas.events.codes import AgencyKind, Concern
from services.county.draws import county_id, draw

Channel = Literal["http", "bus"]

FAMILIES = 260
"""Of a county of scale 1."""

_SIZES, _SIZE_WEIGHTS = (1, 2, 3, 4), (50, 30, 15, 5)


@dataclass(frozen=True, slots=True)
class Family:
    """A family and its children."""

    family_id: UUID
    locality: str
    children: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """How agencies of one kind refer."""

    agencies: int
    weekly: float
    """Calls a week by one agency; a call is about one child or about all children of a family."""
    channel: Channel
    concerns: tuple[Concern, ...]
    hours: tuple[int, int] | None = (9, 17)
    """When it calls on working days, London time; None: day and night, on every day."""
    immediate: float = 0.05
    """The share of calls about a child who may be suffering significant harm now."""
    informing: float = 0.03
    """The share of calls that ask for nothing."""


ABUSE, DISABILITY, ILLNESS, STRESS, DYSFUNCTION, BEHAVIOUR, INCOME, ABSENT = Concern

HABITS: dict[AgencyKind, Habits] = {
    AgencyKind.SCHOOL: Habits(
        6, 1.1, "http", (BEHAVIOUR, STRESS, DYSFUNCTION, ABUSE), (8, 16), immediate=0.1
    ),
    AgencyKind.POLICE: Habits(
        2, 3.0, "bus", (ABUSE, STRESS, DYSFUNCTION), None, immediate=0.3, informing=0.15
    ),
    AgencyKind.HOSPITAL: Habits(1, 2.5, "bus", (ABUSE, DISABILITY, ILLNESS), None, immediate=0.3),
    AgencyKind.GP: Habits(3, 0.8, "http", (DISABILITY, ILLNESS, STRESS), (9, 18)),
    AgencyKind.HEALTH_VISITOR: Habits(2, 1.0, "bus", (DISABILITY, ILLNESS, ABSENT, INCOME)),
    AgencyKind.SCHOOL_NURSE: Habits(1, 0.8, "http", (BEHAVIOUR, STRESS, ILLNESS), (8, 16)),
    AgencyKind.EARLY_YEARS: Habits(1, 1.0, "http", (DISABILITY, DYSFUNCTION, INCOME), (8, 17)),
    AgencyKind.CAMHS: Habits(1, 1.2, "bus", (BEHAVIOUR, STRESS, DYSFUNCTION), immediate=0.15),
    AgencyKind.HOUSING: Habits(1, 1.0, "http", (INCOME, STRESS), informing=0.2),
    AgencyKind.YOUTH_JUSTICE: Habits(1, 1.0, "bus", (BEHAVIOUR, DYSFUNCTION)),
    AgencyKind.VOLUNTARY: Habits(1, 0.9, "http", (STRESS, INCOME, ABSENT), (9, 20)),
    AgencyKind.ADULT_SERVICES: Habits(1, 0.8, "bus", (ILLNESS, ABSENT)),
    AgencyKind.FAMILY: Habits(1, 1.0, "http", (STRESS, BEHAVIOUR, DISABILITY), (8, 20)),
}
"""The mix of partners: invented for the simulation, in the order of size that councils report."""


@dataclass(frozen=True, slots=True)
class Agency:
    """One partner agency."""

    agency_id: str
    kind: AgencyKind
    habits: Habits


@dataclass(frozen=True)
class County:
    """Families and agencies."""

    seed: int
    scale: float
    families: tuple[Family, ...]
    agencies: tuple[Agency, ...] = field(repr=False)

    @classmethod
    def of(cls, seed: int, *, localities: Sequence[str], scale: float = 1.0) -> Self:
        """Return the county of a seed. A larger scale adds families and leaves the others as they are."""
        families = tuple(
            _family(seed, number, localities) for number in range(max(20, round(FAMILIES * scale)))
        )
        agencies = tuple(
            Agency(f"{kind.value.replace('_', '-')}-{number}", kind, habits)
            for kind, habits in HABITS.items()
            for number in range(1, habits.agencies + 1)
        )
        return cls(seed, scale, families, agencies)


def _family(seed: int, number: int, localities: Sequence[str]) -> Family:
    chance = draw(seed, "family", number)
    (size,) = chance.choices(_SIZES, _SIZE_WEIGHTS)
    return Family(
        family_id=county_id(seed, "family", number),
        locality=chance.choice(localities),
        children=tuple(county_id(seed, "child", number, child) for child in range(size)),
    )
