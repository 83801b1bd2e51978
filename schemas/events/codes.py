"""Code lists that travel in events. Names follow docs/domain.md and the statutory returns."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

Level = Annotated[int, Field(ge=1, le=4)]
"""The level of need: 1 emerging, 2 additional, 3 complex, 4 severe or protection (docs/domain.md B1)."""


class AgencyKind(StrEnum):
    """Who refers (docs/domain.md A7)."""

    SCHOOL = "school"
    EARLY_YEARS = "early_years"
    HEALTH_VISITOR = "health_visitor"
    SCHOOL_NURSE = "school_nurse"
    GP = "gp"
    HOSPITAL = "hospital"
    CAMHS = "camhs"
    POLICE = "police"
    HOUSING = "housing"
    YOUTH_JUSTICE = "youth_justice"
    VOLUNTARY = "voluntary"
    ADULT_SERVICES = "adult_services"
    FAMILY = "family"
    OTHER = "other"


class Concern(StrEnum):
    """Why a child is referred; `N1` to `N8` are the primary need codes of the statutory returns."""

    ABUSE_OR_NEGLECT = "N1"
    CHILD_DISABILITY = "N2"
    PARENTAL_ILLNESS = "N3"
    FAMILY_ACUTE_STRESS = "N4"
    FAMILY_DYSFUNCTION = "N5"
    UNACCEPTABLE_BEHAVIOUR = "N6"
    LOW_INCOME = "N7"
    ABSENT_PARENTING = "N8"


class NeedDomain(StrEnum):
    """Domains that an assessment looks at: the child, the parenting, the surroundings."""

    HEALTH = "health"
    EDUCATION = "education"
    SEMH = "semh"
    """Social, emotional and mental health (the sources' BESD)."""
    AUTISM = "autism"
    IDENTITY_AND_RELATIONSHIPS = "identity_and_relationships"
    BASIC_CARE = "basic_care"
    SAFETY = "safety"
    PARENTING_CAPACITY = "parenting_capacity"
    HOUSING_AND_INCOME = "housing_and_income"


class PlacementKind(StrEnum):
    """Kinds of placement (docs/domain.md G2)."""

    IN_HOUSE_FOSTER = "in_house_foster"
    INDEPENDENT_FOSTER = "independent_foster"
    KINSHIP = "kinship"
    PARENTS = "parents"
    ADOPTION = "adoption"
    RESIDENTIAL = "residential"
    RESIDENTIAL_SCHOOL = "residential_school"
    SECURE = "secure"
    SUPPORTED_ACCOMMODATION = "supported_accommodation"
    OTHER = "other"


class Location(StrEnum):
    """Whether the child stays in the county (docs/domain.md G1)."""

    IN_COUNTY = "in_county"
    OUT_OF_COUNTY = "out_of_county"
    UNKNOWN = "unknown"


class FirstRole(StrEnum):
    """Whom an alert addressed in `alert.raised.v1`, whose list is closed."""

    LEAD_PROFESSIONAL = "lead_professional"
    TEAM_MANAGER = "team_manager"
    REFERRER = "referrer"
    DUTY_INBOX = "duty_inbox"
    PLACEMENTS_OFFICER = "placements_officer"
    OPERATIONS = "operations"


class Role(StrEnum):
    """Whom an alert addresses."""

    LEAD_PROFESSIONAL = "lead_professional"
    KEY_WORKER = "key_worker"
    TEAM_MANAGER = "team_manager"
    REVIEWING_OFFICER = "independent_reviewing_officer"
    COMMISSIONER = "commissioner"
    REFERRER = "referrer"
    DUTY_INBOX = "duty_inbox"
    PLACEMENTS_OFFICER = "placements_officer"
    OPERATIONS = "operations"


class Urgency(StrEnum):
    """How soon somebody must look."""

    ROUTINE = "routine"
    SOON = "soon"
    URGENT = "urgent"


class Channel(StrEnum):
    """The ways on which an alert leaves the inbox. The inbox itself is not one: an alert is always there."""

    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"
    """An address of a partner's system."""
    CHAT = "chat"
    """A team's channel in Teams or Slack."""


Origin = Literal["leadline", "ssda903"]
"""Where a placement fact comes from: witnessed by Leadline, or read from the statutory return."""
