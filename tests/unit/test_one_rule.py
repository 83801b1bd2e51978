"""What comes in on the bus and over HTTP is held to one rule."""

import codecs
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from schemas import events as e
from schemas.events import Day, Moment
from schemas.events.fields import Flag
from schemas.example_files import example
from services.kernel.messages.arrivals import Subscriber
from services.kernel.messages.record import Record
from services.kernel.processing.service import Command
from services.kernel.web import bodies
from services.kernel.web.api import PROBLEM, install_errors
from services.kernel.web.bodies import BodyRoute

HEADERS: Mapping[str, bytes] = {
    "ce_specversion": b"1.0",
    "ce_id": b"1",
    "ce_source": b"/partners/school-1",
    "ce_time": b"2026-09-07T08:00:00Z",
    "content-type": b"application/json",
}


def on_the_bus(
    event_class: type[e.Event],
    value: bytes | None = None,
    headers: Mapping[str, bytes | None] | None = None,
    **fields: object,
) -> e.Event | str:
    """Return the event that a partner's record arrives as, or the words with which it is parked."""
    data = example(event_class, "full") | fields
    value = json.dumps(data).encode() if value is None else value
    given = {**HEADERS, "ce_type": event_class.wire_type.encode(), **(headers or {})}
    record = Record("partner-events", 0, 0, data["child_id"].encode(), value, tuple(given.items()))
    service = "referral" if event_class is e.ReferralMade else "placement"
    arrival = Subscriber(service, {event_class.wire_type: event_class}, 256 * 1024).receive(record)
    assert arrival is not None
    if arrival.fault is None:
        assert arrival.event is not None
        return arrival.event
    assert arrival.fault.reason == "malformed"
    return arrival.fault.words


class Asked(Command):
    """A request with one field of each kind."""

    until: Moment
    on: Day
    urgent: Flag = False


REQUEST: Mapping[str, Any] = {"until": "2026-09-07T08:00:00Z", "on": "2026-09-07", "urgent": True}


async def over_http(
    body: bytes | None = None, kind: str = "application/json", **fields: object
) -> httpx.Response:
    """Return the answer to a request."""
    app = FastAPI()
    install_errors(app)
    routes = APIRouter(route_class=BodyRoute)

    @routes.post("/asked")
    async def ask(asked: Asked) -> dict[str, Any]:
        return asked.model_dump(mode="json")

    app.include_router(routes)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        content = json.dumps({**REQUEST, **fields}).encode() if body is None else body
        return await client.post("/asked", content=content, headers={"content-type": kind})


TIMES = [
    ("2026-09-07T08:00:00z", True),
    ("2026-09-07t08:00:00+01:00", True),
    ("1990-12-31T23:59:60Z", True),
    ("2026-W37-1T08:00:00Z", False),
    ("2026-250T08:00:00Z", False),
    ("2026-09-07 08:00:00Z", False),
    ("2026-09-07T08:00:00", False),
    ("1757232000", False),
    (1757232000, False),
]


@pytest.mark.parametrize(("time", "taken"), TIMES, ids=repr)
async def test_a_time_is_rfc_3339_in_headers_events_and_requests(time: str | int, taken: bool) -> None:
    """What one takes all take, and what is refused is refused in the same words."""
    words = "write a time as 2026-09-07T08:00:00Z, with Z or an offset"
    in_event = on_the_bus(e.ReferralMade, made_at=time)
    in_header = on_the_bus(e.ReferralMade, headers={"ce_time": str(time).encode()})
    answer = await over_http(until=time)
    if taken:
        assert isinstance(in_event, e.ReferralMade)
        assert isinstance(in_header, e.ReferralMade)
        assert answer.status_code == 200
    else:
        assert (in_event, in_header) == (f"made_at: {words}", f"ce_time: {words}")
        assert answer.json()["mistakes"] == [{"field": "until", "message": words}]


@pytest.mark.parametrize(
    "day", ["2026-W37-1", "2026-250", "20260907", "1757203200", 1757203200, "2026-02-30"], ids=repr
)
async def test_a_day_is_rfc_3339_in_events_and_requests(day: str | int) -> None:
    """Numbers and other calendars are not guessed at."""
    words = "write a day as 2026-09-07"
    assert on_the_bus(e.LookedAfterReviewReported, reviewed_on=day) == f"reviewed_on: {words}"
    assert (await over_http(on=day)).json()["mistakes"] == [{"field": "on", "message": words}]


async def test_absent_and_null_mean_the_same_for_what_is_optional() -> None:
    """The default, on both ways in."""
    absent = json.dumps(example(e.ReferralMade, "minimal")).encode()
    event = on_the_bus(e.ReferralMade, absent)
    assert isinstance(event, e.ReferralMade)
    nulls = example(e.ReferralMade, "minimal") | {"immediate_risk": None, "information_only": None}
    assert on_the_bus(e.ReferralMade, json.dumps(nulls).encode()) == event
    assert (event.immediate_risk, event.information_only) == (False, False)
    assert (await over_http(urgent=None)).json()["urgent"] is False


MEDIA_TYPES = [
    ("Application/JSON", True),
    ("application/json; charset=utf-8", True),
    ("application/json ;charset=UTF-8", True),
    ("APPLICATION/vnd.school+JSON", True),
    ("application/jsonlines", False),
    ("application/xml", False),
    ("text/json", False),
]


@pytest.mark.parametrize(("kind", "taken"), MEDIA_TYPES)
async def test_a_media_type_has_no_case_and_may_have_parameters(kind: str, taken: bool) -> None:
    """As RFC 9110 has it."""
    came = on_the_bus(e.ReferralMade, headers={"content-type": kind.encode()})
    answer = await over_http(kind=kind)
    if taken:
        assert isinstance(came, e.ReferralMade)
        assert answer.status_code == 200
    else:
        assert came == "content-type is not application/json"
        assert answer.status_code == 422


async def test_a_byte_order_mark_is_passed_over() -> None:
    """Programs on Windows write it in front of UTF-8, where it says nothing."""
    event = json.dumps(example(e.ReferralMade, "full")).encode()
    assert isinstance(on_the_bus(e.ReferralMade, codecs.BOM_UTF8 + event), e.ReferralMade)
    assert (await over_http(codecs.BOM_UTF8 + json.dumps(REQUEST).encode())).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
async def test_only_utf_8_is_read(encoding: str) -> None:
    """JSON that systems exchange is UTF-8; others are not guessed at."""
    event = json.dumps(example(e.ReferralMade, "full")).encode(encoding)
    assert on_the_bus(e.ReferralMade, event) == "value: json_invalid"
    assert (await over_http(json.dumps(REQUEST).encode(encoding))).status_code in {400, 422}


async def test_a_body_that_is_too_large_is_refused_before_it_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer says how much is allowed."""
    body = json.dumps(REQUEST).encode()
    monkeypatch.setattr(bodies, "LARGEST_BODY", len(body))
    assert (await over_http(body)).status_code == 200
    answer = await over_http(body + b" ")
    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
    assert answer.json()["detail"] == f"The body has more than {len(body)} bytes: send less."


@pytest.mark.parametrize("name", ["x-trace", "traceparent", "ce_comment", "Content-Type", ""])
def test_a_header_that_is_not_ours_is_never_decoded(name: str) -> None:
    """Whatever is in it, the event is taken."""
    assert isinstance(on_the_bus(e.ReferralMade, headers={name: b"\xc3\x28"}), e.ReferralMade)


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_subject", "ce_time", "content-type"])
def test_a_header_of_ours_that_is_no_text_is_a_fault(name: str) -> None:
    """It is ours to read."""
    words = on_the_bus(e.ReferralMade, headers={name: b"\xc3\x28"})
    assert words == "content-type, the key or a ce_ header is not UTF-8 text"


STRUCTURED = [
    "application/cloudevents+json",
    "application/CloudEvents+json; charset=utf-8",
    "application/cloudevents-batch+json",
    "application/cloudevents+avro",
]


@pytest.mark.parametrize("kind", STRUCTURED)
@pytest.mark.parametrize("attributes", [{}, dict.fromkeys((*HEADERS, "ce_type"))])
def test_a_structured_event_is_told_to_come_in_binary_mode(
    kind: str, attributes: Mapping[str, bytes | None]
) -> None:
    """Whether or not its attributes stand in the headers, too."""
    words = on_the_bus(e.ReferralMade, headers={**attributes, "content-type": kind.encode()})
    assert words == "this is CloudEvents' structured mode: publish in binary mode"


@pytest.mark.parametrize("event_class", [e.LookedAfterEpisodeReported, e.MissingEpisodeReported])
def test_a_stay_that_ends_before_it_starts_is_a_fault_of_the_event(event_class: type[e.Event]) -> None:
    """In words that say so; the same day is a stay."""
    words = on_the_bus(event_class, started_on="2026-03-02", ended_on="2026-03-01")
    assert words == "ended_on is before started_on"
    assert isinstance(on_the_bus(event_class, started_on="2026-03-01", ended_on="2026-03-01"), event_class)
    assert isinstance(on_the_bus(event_class, started_on="2026-03-01", ended_on=None), event_class)


def test_a_mistake_that_pydantic_names_is_told_by_its_kind_alone() -> None:
    """Its own words may quote what was sent."""
    words = on_the_bus(e.ReferralMade, family_id="Jane Doe")
    assert words == "family_id: uuid_parsing"
