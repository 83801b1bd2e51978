"""Every event model: what fits its schema is kept whole, everything else is a ValidationError."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import REGISTRY, Event
from schemas.example_files import example
from schemas.topics import PARTNER
from tests.fuzz import spoilt
from tests.fuzz.effort import effort
from tests.fuzz.event_data import data_of

EVENTS = sorted(REGISTRY.values(), key=lambda event_class: event_class.wire_type)
WRONG = ("[]", "{}", "[[1]]", '"\\u0000"', '"two words"', "NaN", "1e400", '"\\ud800"', spoilt.DEEP)
"""What fits no required field of any event, whatever its type."""

every_event = pytest.mark.parametrize("event_class", EVENTS, ids=lambda event_class: event_class.wire_type)


@every_event
@effort(5)
@given(data=st.data())
def test_a_well_formed_event_survives_the_bus(event_class: type[Event], data: st.DataObject) -> None:
    """Read, written and read again it is the same event."""
    fields = data.draw(data_of(event_class))
    event = event_class.model_validate_json(json.dumps(fields))
    assert event_class.model_validate_json(event.encode()) == event
    assert event_class.model_validate(fields) == event


@every_event
@effort(10)
@given(data=st.data())
def test_whatever_comes_instead_is_a_validation_error_or_an_event(
    event_class: type[Event], data: st.DataObject
) -> None:
    """No other exception, and what is accepted can be written and read."""
    value = data.draw(data_of(event_class).flatmap(spoilt.body))
    with suppress(ValidationError):
        event = event_class.model_validate_json(value)
        assert event_class.model_validate_json(event.encode()) == event


@every_event
@effort(5)
@given(data=st.data())
def test_a_required_field_that_is_missing_or_wrong_is_refused(
    event_class: type[Event], data: st.DataObject
) -> None:
    """Left out, of another kind, out of every range, or not even text."""
    fields = data.draw(data_of(event_class))
    required = [name for name, field in event_class.model_fields.items() if field.is_required()]
    name = data.draw(st.sampled_from(required))
    wrong = data.draw(st.none() | st.sampled_from(WRONG))
    pairs = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in fields.items() if key != name]
    if wrong is not None:
        pairs.append(f"{json.dumps(name)}:{wrong}")
    accepts_any_list = wrong == "[]" and isinstance(fields[name], list)
    if not accepts_any_list:
        with pytest.raises(ValidationError):
            event_class.model_validate_json("{" + ",".join(pairs) + "}")


@pytest.mark.parametrize(
    ("event_class", "name"),
    [
        (event_class, name)
        for event_class in EVENTS
        for name, field in event_class.model_json_schema()["properties"].items()
        if "date-time" in json.dumps(field)
    ],
    ids=lambda value: value if isinstance(value, str) else value.wire_type,
)
@pytest.mark.parametrize(
    "moment", ["2026-09-07T09:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
def test_a_moment_that_names_no_instant_is_refused(event_class: type[Event], name: str, moment: str) -> None:
    """Without an offset nobody knows which one it is; and UTC ends where years have four digits."""
    fields = example(event_class, "full") | {name: moment}
    with pytest.raises(ValidationError):
        event_class.model_validate_json(json.dumps(fields))


@every_event
@effort(4)
@given(data=st.data())
def test_a_field_that_nobody_knows_changes_nothing_or_is_refused(
    event_class: type[Event], data: st.DataObject
) -> None:
    """Our own events are read tolerantly; of partners a field that was not agreed is refused."""
    fields = data.draw(data_of(event_class))
    more = {data.draw(spoilt.NAMES.filter(lambda name: name != "child_id")): data.draw(st.integers())}
    text = json.dumps(fields | more).encode()
    if event_class in PARTNER.events or b"\\ud800" in text:
        with pytest.raises(ValidationError):
            event_class.model_validate_json(text)
    else:
        assert event_class.model_validate_json(text) == event_class.model_validate(fields)
