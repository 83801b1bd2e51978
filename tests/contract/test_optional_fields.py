"""Absent and null mean the same for what is optional, in events and in requests."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.events import REGISTRY, Event, MissingEpisodeRecorded
from schemas.example_files import example
from services.kernel.processing.service import Command
from services.notify.api.preferences import Absence
from services.placement.model import Body, PlacementEnd
from services.referral.model import ReceiveReferral
from services.referral.web import Decision

EVENTS = sorted(REGISTRY.values(), key=lambda event_class: event_class.wire_type)


def optional_fields(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if not field.is_required()]


def below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from below(subclass)


@pytest.mark.parametrize(
    ("event_class", "name"),
    [(event_class, name) for event_class in EVENTS for name in optional_fields(event_class)],
    ids=lambda value: value if isinstance(value, str) else value.wire_type,
)
def test_an_optional_field_of_an_event_may_be_null(event_class: type[Event], name: str) -> None:
    """It is then the same event as without the field."""
    without = {key: value for key, value in example(event_class, "full").items() if key != name}
    assert event_class.model_validate(without | {name: None}) == event_class.model_validate(without)


def test_every_optional_field_of_a_request_may_be_null() -> None:
    """The API document says so, too."""
    models = {*below(Command), *below(Body)}
    optional = [(model, name) for model in models for name in optional_fields(model)]
    assert {Absence, Decision, PlacementEnd} <= models, "those of the routes are among them"
    assert len(optional) > 10
    for model, name in optional:
        field = model.model_json_schema()["properties"][name]
        assert {"type": "null"} in field.get("anyOf", ()), (model.__name__, name)


def test_a_flag_that_is_null_in_a_request_means_no() -> None:
    """As if nobody had said anything."""
    said: dict[str, Any] = {
        "child_id": "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3",
        "agency": "school",
        "agency_id": "school-1",
        "locality": "ely",
        "concerns": ["N7"],
    }
    nulls = {"immediate_risk": None, "information_only": None}
    assert ReceiveReferral.model_validate(said | nulls) == ReceiveReferral.model_validate(said)


STAYS = [
    event_class for event_class in EVENTS if {"started_on", "ended_on"} <= event_class.model_fields.keys()
]


@pytest.mark.parametrize("event_class", STAYS, ids=lambda event_class: event_class.wire_type)
def test_no_event_tells_of_a_stay_that_ends_before_it_starts(event_class: type[Event]) -> None:
    """Wherever there is such a pair, also where our own code makes the event."""
    stay = event_class.model_validate(example(event_class, "full")).model_dump()
    with pytest.raises(ValidationError, match="ended_on is before started_on"):
        event_class(**stay | {"started_on": date(2026, 3, 2), "ended_on": date(2026, 3, 1)})


def test_the_pairs_of_days_were_found() -> None:
    """The rule above is about some events."""
    assert MissingEpisodeRecorded in STAYS
    assert len(STAYS) == 3
