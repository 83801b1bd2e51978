"""The base of every event model: frozen, typed, versioned, and free of personal data."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.events.times import Day, Moment

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # pydantic gives it no public name

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$")]
"""An identifier or code without spaces: never a name, an address or free text."""


REGISTRY: dict[str, type["Event"]] = {}
"""Every published event class by its wire type, for example `referral.accepted.v1`."""


DATASCHEMA_BASE = "https://leadline.example/schemas"
"""Where the published JSON Schemas would be served; an identifier first, an address only if a council
chooses to serve `schemas/json/` there. It never changes, because it travels in every event."""


class PlainClasses(ModelMetaclass):
    """Tells models apart as Python tells plain classes apart.

    Pydantic's answer to `isinstance` allows for virtual subclasses, which events do not have, and costs
    twenty times as much: of a decision that matches on five events it was most.
    """

    __instancecheck__ = type.__instancecheck__


class Event(BaseModel, metaclass=PlainClasses):
    """A fact that one service publishes and others may rely on permanently.

    A subclass names its wire type, its version and the field that identifies its aggregate:
    `class ReferralAccepted(Event, name="referral.accepted", subject="referral_id")`.
    A published version only ever gains optional fields; anything else is a new version, a new class.
    Consumers ignore fields they do not know (tolerant reader).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    name: ClassVar[str]
    version: ClassVar[int]
    wire_type: ClassVar[str]
    subject_field: ClassVar[str]

    child_id: UUID
    """The child whom this is about; also the Kafka key, as lower-case text."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let pydantic hand the class arguments on to `__pydantic_init_subclass__`."""

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, name: str = "", version: int = 1, subject: str = "", **kwargs: Any
    ) -> None:
        """Register the class under its wire type; two classes for one wire type are refused."""
        super().__pydantic_init_subclass__(**kwargs)
        if not name:
            return  # an abstract base shared by several events
        wire_type = f"{name}.v{version}"
        if wire_type in REGISTRY:
            message = f"{wire_type} is already taken: publish a new version instead"
            raise TypeError(message)
        if subject not in cls.model_fields:
            message = f"{cls.__qualname__}: subject={subject!r} is none of its fields"
            raise TypeError(message)
        cls.name, cls.version, cls.wire_type, cls.subject_field = name, version, wire_type, subject
        REGISTRY[wire_type] = cls

    @property
    def subject(self) -> UUID:
        """The aggregate that this event belongs to; its events are numbered by `sequence`."""
        subject: UUID = getattr(self, self.subject_field)  # of every class: contract tests see to it
        return subject

    def encode(self) -> bytes:
        """Return the JSON that travels as the Kafka value."""
        return self.__pydantic_serializer__.to_json(self)


def dataschema_uri(event_class: type[Event]) -> str:
    """Return the `dataschema` of an event class: the `$id` of its JSON Schema, version included.

    `https://leadline.example/schemas/referral.accepted.v1.schema.json`, whose last part is the file's
    name under `schemas/json/`.
    """
    return f"{DATASCHEMA_BASE}/{event_class.wire_type}.schema.json"


class RuleFired(BaseModel):
    """One rule of the policy pack that led to a decision, in words a practitioner would accept."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    code: Code
    words: Annotated[str, StringConstraints(max_length=200)]
    """The pack's own wording of the rule: the same for every child, never a note about this one."""


__all__ = [
    "DATASCHEMA_BASE",
    "REGISTRY",
    "Code",
    "Day",
    "Event",
    "Moment",
    "RuleFired",
    "dataschema_uri",
]
