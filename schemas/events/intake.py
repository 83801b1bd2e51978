"""What an agency says when it refers a child: the fields of every event and command that carries it."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.events.base import Code, PlainClasses
from schemas.events.codes import AgencyKind, Concern
from schemas.events.fields import Flag

StatedConcerns = Annotated[tuple[Concern, ...], Field(min_length=1, max_length=8)]
"""What a referrer must state: at least one concern."""


class Referred(BaseModel, metaclass=PlainClasses):
    """What an agency says of a child; which child, the model that carries this says itself.

    To be named before `Event` or `Command` among the bases: so `child_id` stays the first field.
    """

    model_config = ConfigDict(frozen=True)

    family_id: UUID | None = None
    agency: AgencyKind
    agency_id: Code
    agency_reference: Code | None = None
    locality: Code
    concerns: tuple[Concern, ...]
    immediate_risk: Flag = False
    information_only: Flag = False
