"""Placements on the real store: journeys, replays, crashes, deadlines; no broker."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import FastAPI

from schemas import events as e
from schemas.events.codes import Location, NeedDomain, PlacementKind
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.postgres.connection import Connection
from services.kernel.web.api import install_errors
from services.placement.app import build
from services.placement.book import PlacementBook
from services.placement.model import (
    CompleteExitInterview,
    EndPlacement,
    ObjectiveAnswered,
    ObjectiveAsked,
    RequestPlacement,
    ReviewPlacement,
    StartPlacement,
)
from services.placement.policy import objective_ids
from services.placement.web import router
from tests.builders import (
    CASE,
    CHILD,
    TODAY,
    case_closed,
    episode_reported,
    looked_after_review_reported,
    missing_episode_reported,
    threshold_met,
)
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected


@pytest.fixture
async def placement(bench: MakeBench) -> Bench:
    """The placement service with an empty store, on a Monday."""
    return await bench("placement", build)


REQUEST = RequestPlacement(
    case_id=CASE, kind=PlacementKind.IN_HOUSE_FOSTER, need_group=NeedDomain.SEMH, requested_by="W-1"
)


async def requested(placement: Bench) -> UUID:
    """A requested placement for an open case of level 3."""
    await placement.deliver(threshold_met(level=3))
    await placement.execute(REQUEST)
    ((placement_id,),) = await placement.rows("SELECT placement_id FROM placements")
    return UUID(str(placement_id))


def start(placement_id: UUID, started_on: date = TODAY) -> StartPlacement:
    return StartPlacement(
        placement_id=placement_id,
        provider_id="P-1",
        kind=PlacementKind.IN_HOUSE_FOSTER,
        location=Location.IN_COUNTY,
        objectives=(
            ObjectiveAsked(domain=NeedDomain.EDUCATION, words="At school every day"),
            ObjectiveAsked(domain=NeedDomain.SEMH, words="Sleeps through the night"),
        ),
        started_on=started_on,
    )


async def started(placement: Bench) -> UUID:
    placement_id = await requested(placement)
    await placement.execute(start(placement_id))
    return placement_id


async def ended(placement: Bench) -> UUID:
    placement_id = await started(placement)
    await placement.execute(EndPlacement(placement_id=placement_id, ended_on=TODAY, reason="moved-home"))
    return placement_id


def interview(placement_id: UUID, held_on: date = TODAY) -> CompleteExitInterview:
    school, sleep = objective_ids(placement_id, 2)
    return CompleteExitInterview(
        placement_id=placement_id,
        outcomes=(
            ObjectiveAnswered(objective_id=sleep, met=False, childs_words="The dog barked"),
            ObjectiveAnswered(objective_id=school, met=True),
        ),
        held_on=held_on,
        held_by="W-1",
    )


async def everything(placement: Bench) -> list[Any]:
    """All that the service keeps, to compare before and after."""
    tables = (
        "known_cases", "placements", "objectives", "looked_after_children", "episodes",
        "looked_after_reviews", "missing_episodes", "deadlines", "journal", "dead_letters",
    )  # fmt: skip
    return [await placement.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


async def test_a_placement_goes_from_request_to_exit_interview(placement: Bench) -> None:
    """Each step is an event, every deadline starts and ends with it."""
    placement_id = await ended(placement)
    await placement.execute(interview(placement_id))

    assert [type(event).__name__ for event in await placement.journal()] == [
        "PlacementRequested",
        "PlacementStarted",
        "DeadlineScheduled",
        "PlacementEnded",
        "DeadlineWaived",
        "ExitInterviewDue",
        "DeadlineScheduled",
        "ExitInterviewCompleted",
        "DeadlineMet",
    ]
    assert await placement.rows("SELECT words, outcome, childs_words FROM objectives ORDER BY number") == [
        ("At school every day", "met", None),
        ("Sleeps through the night", "not_met", "The dog barked"),
    ]


async def test_what_the_child_said_and_the_objectives_wording_stay_in_the_store(placement: Bench) -> None:
    placement_id = await ended(placement)
    await placement.execute(interview(placement_id))

    journal = "".join(row[0] for row in await placement.rows("SELECT data::text FROM journal"))

    assert "barked" not in journal
    assert "night" not in journal


async def test_reviews_are_due_after_20_working_days_then_3_months_then_6_months(placement: Bench) -> None:
    """Deadline 7 of the domain's list, each review counted from the one before."""
    placement_id = await started(placement)
    for reviewed_on in (date(2026, 9, 21), date(2026, 12, 14), date(2027, 6, 1)):
        placement.clock.move(datetime(reviewed_on.year, reviewed_on.month, reviewed_on.day, 15, tzinfo=UTC))
        await placement.execute(
            ReviewPlacement(placement_id=placement_id, reviewed_on=reviewed_on, reviewed_by="IRO-1")
        )

    rows = await placement.rows(
        "SELECT kind, state, (due_at AT TIME ZONE 'Europe/London')::date - 1 FROM deadlines ORDER BY due_at"
    )
    assert rows == [
        ("placement_review_first", "met", date(2026, 10, 5)),
        ("placement_review_second", "met", date(2026, 12, 21)),
        ("placement_review_later", "met", date(2027, 6, 14)),
        ("placement_review_later", "scheduled", date(2027, 12, 1)),
    ]
    reviews = [event for event in await placement.journal() if isinstance(event, e.PlacementReviewed)]
    assert [review.review_number for review in reviews] == [1, 2, 3]


async def test_an_exit_interview_that_nobody_holds_becomes_overdue_once(placement: Bench) -> None:
    """The scanner's event about the deadline comes back through the service's own topic."""
    await ended(placement)
    placement.clock.move(timedelta(days=30))
    await placement.scan()
    overdue = [event for event in await placement.journal() if isinstance(event, e.DeadlineOverdue)]
    assert [event.kind for event in overdue] == ["exit_interview"]

    await placement.deliver(*overdue)
    await placement.deliver(*overdue)

    assert (await placement.journal_types()).count("exit_interview.overdue.v1") == 1
    assert await placement.rows("SELECT exit_interview FROM placements") == [("overdue",)]


async def test_an_interview_held_in_the_meantime_is_not_called_overdue(placement: Bench) -> None:
    placement_id = await ended(placement)
    placement.clock.move(timedelta(days=30))
    await placement.scan()
    await placement.execute(interview(placement_id, held_on=placement.clock.now().date()))

    await placement.deliver(
        *[event for event in await placement.journal() if isinstance(event, e.DeadlineOverdue)]
    )

    assert "exit_interview.overdue.v1" not in await placement.journal_types()


async def test_an_overdue_review_says_nothing_about_the_exit_interview(placement: Bench) -> None:
    await started(placement)
    placement.clock.move(timedelta(days=60))
    await placement.scan()
    overdue = [event for event in await placement.journal() if isinstance(event, e.DeadlineOverdue)]
    assert [event.kind for event in overdue] == ["placement_review_first"]

    before = await everything(placement)
    await placement.deliver(*overdue)

    assert await everything(placement) == before


async def test_a_second_live_placement_for_a_child_is_refused(placement: Bench) -> None:
    await requested(placement)

    with pytest.raises(Refused, match="already has a placement that is requested"):
        await placement.execute(REQUEST, key="another-request")


async def test_two_requests_at_the_same_moment_make_one_placement(placement: Bench) -> None:
    """They lock the child's cases, so that the second sees what the first did, also from another case."""
    other = UUID("00000000-0000-4000-8000-0000000000cb")
    await placement.deliver(threshold_met(level=3), threshold_met(level=3, case_id=other))

    answers = await asyncio.gather(
        placement.execute(REQUEST, key="first-request"),
        placement.execute(REQUEST.model_copy(update={"case_id": other}), key="second-request"),
        return_exceptions=True,
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "dict"]
    assert await placement.rows("SELECT count(*) FROM placements") == [(1,)]


async def test_a_child_whose_placement_ended_can_be_placed_again(placement: Bench) -> None:
    await ended(placement)

    await placement.execute(REQUEST, key="after-the-first-ended")

    assert await placement.rows("SELECT status FROM placements ORDER BY status") == [
        ("ended",),
        ("requested",),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["as published", "the other way round"])
async def test_a_closed_case_stays_closed_in_whatever_order_its_events_arrive(
    placement: Bench, order: tuple[int, int]
) -> None:
    events = (threshold_met(level=3), case_closed())

    await placement.deliver(*(events[index] for index in order))

    with pytest.raises(Refused, match="closed, or not known here yet"):
        await placement.execute(REQUEST)


async def test_the_same_key_answers_the_same_and_changes_nothing(placement: Bench) -> None:
    """Every command may be sent twice."""
    await placement.deliver(threshold_met(level=3))
    first = await placement.execute(REQUEST, key="the-request-key")
    ((placement_id,),) = await placement.rows("SELECT placement_id FROM placements")
    end = EndPlacement(placement_id=placement_id, ended_on=TODAY, reason="moved-home")
    commands = [start(placement_id), end, interview(placement_id)]
    for number, command in enumerate(commands):
        await placement.execute(command, key=f"the-command-{number}")
    before = await everything(placement)

    again = await placement.execute(REQUEST, key="the-request-key")
    for number, command in enumerate(commands):
        await placement.execute(command, key=f"the-command-{number}")

    assert again == first
    assert await everything(placement) == before


HISTORY = (
    e.LookedAfterChildReported(child_id=CHILD, return_year=2025),
    episode_reported(year=2025),
    episode_reported(year=2025, started_on=date(2024, 5, 1), ended_on=date(2024, 5, 2), reason_ended="X1"),
    looked_after_review_reported(),
    missing_episode_reported("away", ended_on=date(2024, 7, 3)),
)


async def test_history_becomes_placements_reviews_and_missing_episodes_without_deadlines(
    placement: Bench,
) -> None:
    """Nobody is alerted about what was due in the past."""
    await placement.deliver(*HISTORY)

    assert sorted(await placement.journal_types()) == [
        "looked_after_review.recorded.v1",
        "missing_episode.recorded.v1",
        "placement.ended.v1",
        "placement.started.v1",
        "placement.started.v1",
    ]
    assert await placement.rows("SELECT count(*) FROM deadlines") == [(0,)]
    assert await placement.rows("SELECT status, legal_status FROM episodes ORDER BY started_on") == [
        ("ended", "C2"),
        ("open", "C2"),
    ]
    assert {event.origin for event in await placement.journal() if hasattr(event, "origin")} == {"ssda903"}


async def test_an_episode_reported_again_is_the_same_episode_with_its_end(placement: Bench) -> None:
    await placement.deliver(episode_reported(year=2025))
    await placement.deliver(episode_reported(year=2026, ended_on=date(2025, 8, 1), reason_ended="E4A"))

    assert await placement.rows("SELECT version, status, ended_on, return_year FROM episodes") == [
        (2, "ended", date(2025, 8, 1), 2026)
    ]
    assert await placement.journal_types() == ["placement.started.v1", "placement.ended.v1"]


async def test_a_return_of_an_earlier_year_that_comes_later_changes_nothing(placement: Bench) -> None:
    await placement.deliver(episode_reported(year=2026, ended_on=date(2025, 8, 1), reason_ended="E4A"))
    before = await everything(placement)

    await placement.deliver(episode_reported(year=2025))

    assert await everything(placement) == before


async def test_delivering_everything_again_changes_nothing(placement: Bench) -> None:
    """In one batch with duplicates inside, and again in two: journal, tables and deadlines are the same."""
    events = (
        threshold_met(level=3),
        *HISTORY,
        episode_reported(year=2026, ended_on=date(2025, 8, 1), reason_ended="E4A"),
    )
    await placement.deliver(*events, *events)
    before = await everything(placement)

    await placement.deliver(*events[:4])
    await placement.deliver(*events[4:])

    assert await everything(placement) == before
    assert before[-1] == [], "nothing is parked"


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_delivery_everything(
    placement: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away in the middle of saving, once."""
    save = placement.service.store.save
    crashes = iter([ConnectionError("the database went away")])

    async def crash_once(connection: Connection, book: PlacementBook) -> None:
        await save(connection, book)
        for error in crashes:
            raise error

    monkeypatch.setattr(placement.service.store, "save", crash_once)

    await placement.deliver(*HISTORY)

    assert await placement.rows("SELECT count(*) FROM journal") == [(5,)]
    assert await placement.rows("SELECT count(*) FROM episodes") == [(2,)]


@pytest.fixture
async def client(placement: Bench) -> Any:
    """The service's API without a socket."""
    app = FastAPI()
    install_errors(app)
    app.include_router(router(placement.executor))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://placement") as connected:
        yield connected


def key(number: int) -> dict[str, str]:
    return {"Idempotency-Key": f"test-key-{number}"}


async def test_the_whole_journey_over_http(placement: Bench, client: httpx.AsyncClient) -> None:
    await placement.deliver(threshold_met(level=3))
    created = await client.post("/placements", json=REQUEST.model_dump(mode="json"), headers=key(1))
    assert created.status_code == 201
    placement_id = UUID(created.json()["placement_id"])
    at = f"/placements/{placement_id}"
    body = start(placement_id).model_dump(mode="json", exclude={"placement_id"})
    begun = await client.post(f"{at}/start", json=body, headers=key(2))
    reviewed = {"reviewed_on": str(TODAY), "reviewed_by": "IRO-1"}
    review = await client.post(f"{at}/reviews", json=reviewed, headers=key(3))
    left = await client.post(f"{at}/end", json={"ended_on": str(TODAY), "reason": "home"}, headers=key(4))
    answers = interview(placement_id).model_dump(mode="json", exclude={"placement_id"})
    asked = await client.post(f"{at}/exit-interview", json=answers, headers=key(5))

    assert [answer.json()["status"] for answer in (begun, review, left, asked)] == [
        "started", "started", "ended", "ended",
    ]  # fmt: skip
    shown = (await client.get(at)).json()
    assert shown["objectives"][1]["childs_words"] == "The dog barked"
    assert {each["state"] for each in shown["deadlines"]} == {"met", "waived"}
    figures = (await client.get("/placements/figures")).json()
    assert (figures["ended"], figures["in_county"], figures["exit_interviews_completed"]) == (1, 1, 1)


async def test_a_repeated_post_answers_the_same_and_another_body_under_its_key_is_refused(
    placement: Bench, client: httpx.AsyncClient
) -> None:
    await placement.deliver(threshold_met(level=3))
    body = REQUEST.model_dump(mode="json")
    first = await client.post("/placements", json=body, headers=key(1))
    again = await client.post("/placements", json=body, headers=key(1))
    other = await client.post("/placements", json=body | {"requested_by": "W-2"}, headers=key(1))

    assert again.json() == first.json()
    assert (other.status_code, other.json()["detail"]) == (
        409,
        "This Idempotency-Key was used for another request: send a new key.",
    )


async def test_bad_input_names_the_fields_and_quotes_no_value(client: httpx.AsyncClient) -> None:
    body = REQUEST.model_dump(mode="json") | {"kind": "castle", "requested_by": "Ann Smith"}

    answer = await client.post("/placements", json=body, headers=key(1))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {mistake["field"] for mistake in answer.json()["mistakes"]} == {"kind", "requested_by"}
    assert "Smith" not in answer.text


async def test_an_unknown_placement_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/placements/{CASE}")
    ending = await client.post(
        f"/placements/{CASE}/end", json={"ended_on": str(TODAY), "reason": "home"}, headers=key(1)
    )

    assert (answer.status_code, ending.status_code) == (404, 404)


async def test_the_list_is_filtered_and_paged(placement: Bench, client: httpx.AsyncClient) -> None:
    for number in range(3):
        child, case = uuid5(CHILD, f"child {number}"), uuid5(CHILD, f"case {number}")
        await placement.deliver(threshold_met(child, level=3, case_id=case))
        await placement.execute(REQUEST.model_copy(update={"case_id": case}))

    page = (await client.get("/placements", params={"limit": 2})).json()
    rest = (await client.get("/placements", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    mine = (await client.get("/placements", params={"child_id": str(uuid5(CHILD, "child 1"))})).json()
    none = (await client.get("/placements", params={"status": "ended"})).json()

    assert (page["total"], len(page["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 2, 1, None)
    assert [item["case_id"] for item in mine["items"]] == [str(uuid5(CHILD, "case 1"))]
    assert none == {"items": [], "total": 0, "next_cursor": None}


def test_the_service_is_built_from_every_shipped_pack() -> None:
    """A council's own limits reach the service through its pack."""
    for path in sorted(Settings().policy.parent.glob("*.yaml")):
        assert build(Settings(policy=path)).name == "placement"
