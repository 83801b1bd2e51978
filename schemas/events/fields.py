"""What fields share: mistakes in words of our own, and null where a field may be absent."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, LiteralString, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

OURS = "mistake"
"""The type of a mistake that a model names itself. Its words quote nothing: anybody may see them."""


StayT = TypeVar("StayT", bound="Stay")


def mistake(words: LiteralString) -> PydanticCustomError:
    """Return the error for a validator to raise; `words` say what is wrong and quote no value."""
    return PydanticCustomError(OURS, words)


@dataclass(frozen=True)
class NullMeans:
    """Beside the type of a field with a default: null means the same as its absence, the default."""

    default: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type, or null."""
        nullable = core_schema.nullable_schema(handler(source))
        return core_schema.no_info_after_validator_function(self._value_of, nullable)

    def _value_of(self, value: Any) -> Any:
        return self.default if value is None else value


Flag = Annotated[bool, NullMeans(False)]
"""Yes or no in a field whose default is no."""


class Stay(Protocol):
    """What begins on a day and may have ended on another."""

    @property
    def started_on(self) -> date: ...

    @property
    def ended_on(self) -> date | None: ...


def in_order(stay: StayT) -> StayT:
    """Return a stay unchanged; a validator of the whole model. Raises when it ends before it starts."""
    if stay.ended_on is not None and stay.ended_on < stay.started_on:
        raise mistake("ended_on is before started_on")
    return stay


__all__ = ["OURS", "Flag", "NullMeans", "in_order", "mistake"]
