"""Whatever a poll brings is committed or parked, and the right events between the wrong ones take effect."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events as e
from schemas.events import Event
from schemas.topics import read_by
from services.assessment.app import build as build_assessment
from services.kernel.messages.arrivals import Arrival
from services.kernel.messages.record import Record
from services.kernel.store.dead_letters import list_letters
from services.notify.app import build as build_notify
from services.placement.app import build as build_placement
from services.referral.app import build as build_referral
from tests.builders import episode_reported, referral_accepted, referral_made, referral_received
from tests.flow.conftest import TESTS, Bench, MakeBench
from tests.fuzz.effort import MARKER, effort
from tests.fuzz.records import any_record

pytestmark = pytest.mark.connected

BUILDS: dict[str, Callable[[Any], Any]] = {
    "referral": build_referral,
    "assessment": build_assessment,
    "placement": build_placement,
    "notify": build_notify,
}
IN_EFFECT = {
    "referral": "SELECT child_id FROM referrals",
    "assessment": "SELECT child_id FROM cases",
    "placement": "SELECT child_id FROM episodes",
    "notify": "SELECT child_id FROM referrers",
}
"""Where the right event of each service leaves its trace."""

children = (uuid5(TESTS, f"fuzzed child {number}") for number in count())


def right_event(service: str, child_id: UUID) -> Event:
    """An event that the service handles, about a child that no other event of the run is about."""
    match service:
        case "referral":
            return referral_made(child_id)
        case "assessment":
            return referral_accepted(child_id)
        case "placement":
            return episode_reported(child_id)
        case _:
            return referral_received(child_id)


@pytest.fixture(params=sorted(BUILDS))
async def served(request: pytest.FixtureRequest, bench: MakeBench) -> Bench:
    """Each service in turn, on a store that fills up from example to example."""
    return await bench(request.param, BUILDS[request.param])


async def of_messages(served: Bench, table: str, columns: str, ids: Sequence[UUID]) -> list[Any]:
    return await served.rows(
        f"SELECT {columns} FROM {table} WHERE message_id = ANY(CAST(:ids AS uuid[]))", ids=list(ids)
    )


async def counts(served: Bench) -> list[Any]:
    return await served.rows(
        "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM dead_letters),"
        " (SELECT count(*) FROM journal), (SELECT count(*) FROM journal WHERE type = 'event.parked.v1')"
    )


@effort(15)
@given(data=st.data())
async def test_every_record_is_committed_or_parked_and_the_right_events_take_effect(
    served: Bench, data: st.DataObject
) -> None:
    """Nothing is raised, each message is accounted for once, and a redelivery changes nothing."""
    name = served.service.name
    wrong = data.draw(st.lists(st.sampled_from(read_by(name)).flatmap(any_record), min_size=1, max_size=8))
    ours = [next(children) for _ in range(len(wrong) + 1)]
    batch: list[Record] = [served.record(right_event(name, ours[0]))]
    for record, child_id in zip(wrong, ours[1:], strict=True):
        batch += [record, served.record(right_event(name, child_id))]

    first: dict[UUID, Arrival] = {}
    for arrival in served.delivery.prepare(batch).arrivals:
        first.setdefault(arrival.message_id, arrival)
    known = {row[0] for row in await of_messages(served, "inbox", "message_id", list(first))}
    fresh = [message_id for message_id in first if message_id not in known]
    before = (await counts(served))[0]

    await served.delivery.deliver(batch)

    after = (await counts(served))[0]
    letters = {
        row[0]: row
        for row in await of_messages(served, "dead_letters", "message_id, state, reason, words, type", fresh)
    }
    assert after[0] - before[0] == len(fresh)
    assert after[1] - before[1] == len(letters)
    for message_id in fresh:
        fault = first[message_id].fault
        if fault is not None:
            assert letters[message_id][1] == "waiting" or letters[message_id][2] == fault.reason
        elif message_id in letters:
            assert letters[message_id][2] in {"failed", "rejected", "waiting"}
    assert all(MARKER not in letter[3] for letter in letters.values())
    announced = [
        letter
        for letter in letters.values()
        if letter[1] == "parked" and not str(letter[4]).startswith(e.EventParked.name)
    ]
    assert after[3] - before[3] == len(announced)
    taken = await served.rows(
        f"{IN_EFFECT[name]} WHERE child_id = ANY(CAST(:children AS uuid[]))", children=ours
    )
    assert {row[0] for row in taken} == set(ours)

    await served.delivery.deliver(batch)
    assert (await counts(served))[0] == after


@pytest.mark.parametrize(
    "headers",
    [
        (("ce_type", None),),
        (("ce_type", b"partner.referral_made.v1"), ("ce_id", None)),
        (("ce_type", b"partner.referral_made.v1"), ("a\x00b", b"\x00\xff")),
    ],
    ids=["a type without value", "an id without value", "a name with NUL"],
)
async def test_odd_headers_are_kept_with_the_letter(
    bench: MakeBench, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    """They come back as they were when the letter is looked at or replayed."""
    referral = await bench("referral", build_referral)
    await referral.delivery.deliver([Record("partner-events", 0, 1, None, b"{}", headers)])
    ((letter_id, reason),) = await referral.rows("SELECT dead_letter_id, reason FROM dead_letters")
    assert reason == "malformed"
    settled = await referral.replay.replay(letter_id, by="tester")
    assert [one.outcome for one in settled] == ["failed again"]
    async with referral.engine.connect() as connection:
        (letter,) = await list_letters(connection)
    assert letter.record.headers == headers
