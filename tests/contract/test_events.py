"""What every event model and every topic must obey."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from schemas.events.base import REGISTRY, Code, Event
from schemas.events.partner import ReferralMade
from schemas.example_files import example
from schemas.json_schema import schema_file
from schemas.topics import PARTNER, TOPICS, Topic, published_by, read_by

EVENTS = sorted(REGISTRY.values(), key=lambda event_class: event_class.wire_type)
SERVICES = {"referral", "assessment", "placement", "notify"}

every_event = pytest.mark.parametrize("event_class", EVENTS, ids=lambda event_class: event_class.wire_type)
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)

PERSONAL_ANYWHERE = ("name", "address", "postcode", "birth", "phone", "email", "surname", "gender", "nhs")
PERSONAL_WORDS = {"dob", "upn", "note", "notes", "text", "comment", "comments", "remark", "narrative", "age"}


def personal_fields(schema: dict[str, Any]) -> list[str]:
    """Return the fields whose name suggests personal data, nested types included."""
    return [
        name
        for name, _ in fields_of(schema)
        if any(part in name for part in PERSONAL_ANYWHERE) or PERSONAL_WORDS & set(name.split("_"))
    ]


def free_texts(schema: dict[str, Any]) -> list[str]:
    """Return the fields that take any string at all."""
    return [
        name
        for name, field in fields_of(schema)
        for part in strings_in(field)
        if not part.keys() & {"pattern", "maxLength", "format", "enum", "const"}
    ]


def fields_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema and of the types that it defines."""
    for place in (schema, *schema.get("$defs", {}).values()):
        yield from place.get("properties", {}).items()


def strings_in(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every part of a field's schema that is a string."""
    if field.get("type") == "string":
        yield field
    for part in [*field.get("anyOf", []), *([field["items"]] if "items" in field else [])]:
        yield from strings_in(part)


@every_event
def test_subject_is_a_required_uuid(event_class: type[Event]) -> None:
    """The envelope's subject names an aggregate, in every event."""
    field = event_class.model_fields[event_class.subject_field]
    assert field.annotation is UUID
    assert field.is_required()
    data = example(event_class, "minimal")
    assert event_class.model_validate(data).subject == UUID(data[event_class.subject_field])


@every_event
def test_event_is_on_a_topic(event_class: type[Event]) -> None:
    """An event that no topic carries could never be published."""
    assert [topic.name for topic in TOPICS if event_class in topic.events]


@every_event
def test_wire_type_is_lower_case_name_and_version(event_class: type[Event]) -> None:
    """`ReferralAccepted` travels as `referral.accepted.v1`."""
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z_]+\.v[1-9][0-9]*", event_class.wire_type)
    assert event_class.wire_type == f"{event_class.name}.v{event_class.version}"


@every_event
def test_event_cannot_be_changed(event_class: type[Event]) -> None:
    """A fact stays what it was."""
    event = event_class.model_validate(example(event_class, "minimal"))
    with pytest.raises(ValueError, match="frozen"):
        event.child_id = UUID(int=0)  # type: ignore[misc] # what mypy refuses must fail at run time too


@every_event
def test_no_field_suggests_personal_data(event_class: type[Event]) -> None:
    """Ids, codes, dates and levels only."""
    assert personal_fields(schema_file(event_class)) == []


@every_event
def test_no_field_takes_free_text(event_class: type[Event]) -> None:
    """Every string has a pattern, a list of values, a format or at least a limit."""
    assert free_texts(schema_file(event_class)) == []


def test_rules_about_personal_data_find_a_model_that_breaks_them() -> None:
    """The two rules above can fail, also for optional, repeated and nested fields."""

    class Visit(BaseModel):
        comment: str
        code: Code

    class Chatty(BaseModel):
        forename: Code
        postcode: str | None = None
        remarks: tuple[str, ...] = ()
        dob: Code
        visits: tuple[Visit, ...] = ()

    schema = Chatty.model_json_schema()
    assert set(personal_fields(schema)) == {"forename", "postcode", "dob", "comment"}
    assert set(free_texts(schema)) == {"postcode", "remarks", "comment"}


@pytest.mark.parametrize("event_class", PARTNER.events, ids=lambda event_class: event_class.wire_type)
def test_partner_event_refuses_fields_that_were_not_agreed(event_class: type[Event]) -> None:
    """A field that nobody agreed on could carry personal data, so the whole event is refused."""
    data = example(event_class, "full")
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        event_class.model_validate(data | {"mothers_maiden_name": "x"})
    assert schema_file(event_class)["additionalProperties"] is False


OWN_EVENTS = [event_class for event_class in EVENTS if event_class not in PARTNER.events]


@pytest.mark.parametrize("event_class", OWN_EVENTS, ids=lambda event_class: event_class.wire_type)
def test_reader_ignores_fields_that_it_does_not_know(event_class: type[Event]) -> None:
    """A newer service may add an optional field without breaking older readers, and it is not kept."""
    data = example(event_class, "full")
    event = event_class.model_validate(data | {"added_in_2031": True})
    assert event == event_class.model_validate(data)
    assert "added_in_2031" not in event.encode().decode()


def test_a_second_class_for_one_wire_type_is_refused() -> None:
    """Two meanings of one type cannot exist side by side."""
    with pytest.raises(TypeError, match=r"referral\.accepted\.v1 is already taken"):

        class ReferralAcceptedAgain(Event, name="referral.accepted", subject="child_id"):
            pass


def test_an_event_without_its_subject_field_is_refused() -> None:
    """The mistake shows when the module is imported, not when the first event is published."""
    with pytest.raises(TypeError, match="subject='case_id' is none of its fields"):

        class Orphaned(Event, name="test.orphaned", subject="case_id"):
            pass

    assert "test.orphaned.v1" not in REGISTRY


def test_a_class_without_a_name_is_only_a_base() -> None:
    """Shared fields live in bases that are never published."""
    before = set(REGISTRY)

    class Base(Event):
        model_config = ConfigDict(extra="forbid")

    assert set(REGISTRY) == before


@pytest.mark.parametrize("code", ["", "two words", "Łódź", "a\n", "-a", "x" * 65, "jane@example.org"])
def test_code_refuses_what_is_not_a_code(code: str) -> None:
    """Spaces, other letters, line ends and email addresses do not pass for a code."""
    data = example(ReferralMade, "full") | {"locality": code}
    with pytest.raises(ValueError, match="locality"):
        ReferralMade.model_validate(data)


@every_topic
def test_topic_name_has_no_dot_and_no_underscore(topic: Topic) -> None:
    """Kafka's metrics cannot tell the two apart, so names use hyphens."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", topic.name)


@every_topic
def test_topic_is_owned_and_read_by_known_services(topic: Topic) -> None:
    """A misspelt reader would silently never read."""
    assert topic.owner in SERVICES | {"partners"}
    assert set(topic.readers) <= SERVICES
    assert topic.readers


@every_topic
def test_topic_names_each_event_once(topic: Topic) -> None:
    """Its set of wire types has as many members as its list of events."""
    assert len(topic.types) == len(topic.events)


def test_each_service_owns_one_topic() -> None:
    """One topic per producing service."""
    assert {published_by(service).owner for service in SERVICES} == SERVICES
    assert len({topic.name for topic in TOPICS}) == len({topic.owner for topic in TOPICS}) == len(TOPICS)
    with pytest.raises(KeyError):
        published_by("payroll")


def test_notify_reads_every_topic_of_the_services() -> None:
    """An alert can come from anything that a service publishes."""
    assert {topic.owner for topic in read_by("notify")} == SERVICES
