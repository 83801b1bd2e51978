"""The common parts of all JSON answers: frozen models, an example each, lists in pages."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from services.kernel.base.examples import example

DeadlineState = Literal["scheduled", "due_soon", "due", "overdue", "met", "paused", "waived"]


DEADLINE: Mapping[str, Any] = {
    "about": "a4c81f3e-6d09-5b7e-8f42-2d95e0b7c613",
    "kind": "triage_decision",
    "state": "scheduled",
    "due_at": "2026-03-03T09:14:03Z",
}
"""The example of ShownDeadline, for answers that hold one."""


class Shown(BaseModel):
    """Something as programs see it. A published answer only ever gains fields."""

    model_config = ConfigDict(frozen=True, from_attributes=True, use_attribute_docstrings=True)

    @classmethod
    def each(cls, items: Iterable[object]) -> tuple[Self, ...]:
        """Return items as programs see them; they have attributes, or keys, of the fields' names."""
        return tuple(map(cls.model_validate, items))


ItemT = TypeVar("ItemT", bound=Shown)


def _of_one_item(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Give a list the example of its items."""
    for item in model.__pydantic_generic_metadata__["args"]:  # none while it is the list of anything
        extra = item.model_config["json_schema_extra"]
        assert isinstance(extra, dict)  # noqa: S101 - `example` made it
        schema["examples"] = [{"items": extra["examples"], "total": 1, "next_cursor": None}]


class Listed(Shown, Generic[ItemT]):
    """One page of a list."""

    model_config = ConfigDict(json_schema_extra=_of_one_item)

    items: tuple[ItemT, ...]
    total: int
    """How many the whole list has."""
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: this is the last."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return a name that reads well in generated clients, such as `ShownCaseList`."""
        return f"{params[0].__name__}List"


def examples(model: type[BaseModel] = Shown) -> dict[str, dict[str, list[Any]]]:
    """Return what schemas say of the examples of all that is shown, by their titles."""
    found: dict[str, dict[str, list[Any]]] = {}
    for each in model.__subclasses__():
        schema = each.model_json_schema()
        found |= {schema["title"]: {"examples": schema["examples"]}} if "examples" in schema else {}
        found |= examples(each)
    return found


class ShownDeadline(Shown):
    """Something that is due about what the answer shows."""

    model_config = example(DEADLINE)

    about: UUID
    kind: str
    state: DeadlineState
    due_at: datetime


def kept(body: Mapping[str, Any], *, status: int = 200) -> JSONResponse:
    """Return the answer to a command as it is kept under its key.

    It is not read through a model again: a repetition is answered as the first time, also when the model
    has gained fields since.
    """
    return JSONResponse(body, status_code=status)
