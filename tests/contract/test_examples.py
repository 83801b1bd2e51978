"""The examples are right, whichever of the contract's two forms reads them."""

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from schemas.events.base import REGISTRY, Event
from schemas.example_files import EXAMPLES, VARIANTS, Variant, example, example_path
from schemas.json_schema import schema_file

Complaints = Callable[[dict[str, Any], Any], list[str]]

EVENTS = sorted(REGISTRY.values(), key=lambda event_class: event_class.wire_type)

every_event = pytest.mark.parametrize("event_class", EVENTS, ids=lambda event_class: event_class.wire_type)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


@every_event
@every_variant
def test_example_is_valid_by_json_schema(
    event_class: type[Event], variant: Variant, complaints: Complaints
) -> None:
    """A stranger who only has the JSON Schema accepts it."""
    assert complaints(schema_file(event_class), example(event_class, variant)) == []


@every_event
@every_variant
def test_example_survives_the_round_trip(
    event_class: type[Event], variant: Variant, complaints: Complaints
) -> None:
    """The model reads it, and what the model writes is the same event and still valid."""
    event = event_class.model_validate_json(json.dumps(example(event_class, variant)))
    encoded = event.encode()
    assert event_class.model_validate_json(encoded) == event
    assert complaints(schema_file(event_class), json.loads(encoded)) == []


@every_event
def test_minimal_example_has_the_required_fields_alone(event_class: type[Event]) -> None:
    """It shows the least that a writer must send."""
    required = {name for name, field in event_class.model_fields.items() if field.is_required()}
    assert example(event_class, "minimal").keys() == required


@every_event
def test_full_example_has_every_field(event_class: type[Event]) -> None:
    """It shows all that a reader may meet."""
    assert example(event_class, "full").keys() == event_class.model_fields.keys()


@every_event
@every_variant
def test_example_is_about_the_child_of_the_journey(event_class: type[Event], variant: Variant) -> None:
    """All examples together tell one journey of one child."""
    assert example(event_class, variant)["child_id"] == "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3"


def test_every_example_belongs_to_an_event() -> None:
    """No example outlives its event."""
    expected = {example_path(event_class, variant) for event_class in EVENTS for variant in VARIANTS}
    assert {path for path in EXAMPLES.rglob("*") if path.is_file()} == expected


def test_ids_of_the_journey_appear_in_more_than_one_event() -> None:
    """The accepted referral, its case and its placement link the events that follow from one another."""
    full = {event_class.wire_type: example(event_class, "full") for event_class in EVENTS}
    referral_id = full["referral.received.v1"]["referral_id"]
    case_id = full["assessment.started.v1"]["case_id"]
    placement_id = full["placement.requested.v1"]["placement_id"]
    assert full["referral.accepted.v1"]["referral_id"] == referral_id
    assert full["assessment.started.v1"]["referral_id"] == referral_id
    assert full["placement.requested.v1"]["case_id"] == case_id
    assert full["case.closed.v1"]["case_id"] == case_id
    assert full["exit_interview.completed.v1"]["placement_id"] == placement_id


@every_event
def test_schema_refuses_an_event_without_its_child(event_class: type[Event], complaints: Complaints) -> None:
    """The check above can fail: an example that lost `child_id` is refused by both forms."""
    data: dict[str, Any] = example(event_class, "full")
    del data["child_id"]
    assert complaints(schema_file(event_class), data) == ["$: 'child_id' is a required property"]
    with pytest.raises(ValueError, match="child_id"):
        event_class.model_validate(data)


@every_event
def test_schema_refuses_a_time_without_an_offset(event_class: type[Event], complaints: Complaints) -> None:
    """Both forms agree that an instant has an offset; an event without instants has nothing to refuse."""
    data = example(event_class, "full")
    instants = [name for name in data if name.endswith("_at")]
    for name in instants:
        broken = data | {name: "2026-03-02T09:14:00"}
        assert len(complaints(schema_file(event_class), broken)) == 1, name
        with pytest.raises(ValueError, match=name):
            event_class.model_validate(broken)


def test_variants_are_the_two_that_this_file_checks() -> None:
    """A third variant would need rules of its own."""
    assert get_args(Variant) == VARIANTS == ("minimal", "full")
