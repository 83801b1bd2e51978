"""Commands when requests come twice and connections break: one effect, one answer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from services.kernel.messages.faults import Refused
from services.kernel.postgres.connection import Connection
from services.kernel.postgres.database import STORE_ERRORS, is_transient
from services.kernel.processing import publication
from services.kernel.processing.service import Message
from services.referral.app import build
from services.referral.model import DecideReferral, ReceiveReferral
from tests.builders import a_child, referral_made
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

KEY = "one-and-the-same"
REFERRAL = ReceiveReferral.model_validate(referral_made().model_dump(exclude={"made_at"}))


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build)


class Interrupted:
    """The service's store, but something happens to the connection before its first loads."""

    def __init__(self, bench: Bench, *happens: Callable[[Connection], Awaitable[object]]) -> None:
        self._store = bench.service.store
        self._happens = list(happens)
        bench.executor.service = replace(bench.service, store=self)

    async def load(self, connection: Connection, messages: Sequence[Message]) -> Any:
        if self._happens:
            await self._happens.pop(0)(connection)
        return await self._store.load(connection, messages)

    async def save(self, connection: Connection, book: Any) -> None:
        await self._store.save(connection, book)


async def break_off(connection: Connection) -> None:
    """End the connection from the database's side, as a restart does."""
    await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def decision(referral: Bench) -> DecideReferral:
    """Return the acceptance of a referral that was just made."""
    await referral.execute(REFERRAL)
    ((referral_id,),) = await referral.rows("SELECT referral_id FROM referrals")
    return DecideReferral(
        referral_id=referral_id, decided_by="W-1", outcome="accept", override_reason="known-family"
    )


async def test_a_connection_that_breaks_is_replaced_and_the_command_executed_once(referral: Bench) -> None:
    """A restart of the database is nothing that the caller has to know."""
    Interrupted(referral, break_off)
    answer = await referral.execute(REFERRAL, key=KEY)
    assert answer["events"][0] == "referral.received.v1"
    assert await referral.journal_types() == answer["events"]


async def test_a_commit_whose_acknowledgement_was_lost_is_not_repeated(referral: Bench) -> None:
    """The second attempt finds the answer of the first and gives it, although the rules refuse by now."""
    command = await decision(referral)
    first: list[dict[str, Any]] = []

    async def commit_unheard(connection: Connection) -> None:
        first.append(await referral.execute(command, key=KEY))
        await break_off(connection)

    Interrupted(referral, commit_unheard)
    assert await referral.execute(command, key=KEY) == first[0]
    assert (await referral.journal_types()).count("referral.accepted.v1") == 1


async def test_a_database_that_stays_away_is_an_error_that_passes(referral: Bench) -> None:
    """After the second break the caller is told to send the request again; nothing has happened."""
    Interrupted(referral, break_off, break_off)
    with pytest.raises(STORE_ERRORS) as raised:
        await referral.execute(REFERRAL, key=KEY)
    assert is_transient(raised.value)
    assert await referral.journal_types() == []


async def test_one_request_sent_several_times_at_once_has_one_effect(referral: Bench) -> None:
    """All get the first answer, whoever comes first."""
    command = await decision(referral)
    before = len(await referral.journal_types())
    answers = await asyncio.gather(*(referral.execute(command, key=KEY) for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert (await referral.journal_types())[before:] == answers[0]["events"]


async def test_a_refused_request_keeps_its_key_free(referral: Bench) -> None:
    """What was refused may be tried again with the same key when things have changed."""
    command = await decision(referral)
    with pytest.raises(Refused, match="override_reason"):
        await referral.execute(command.model_copy(update={"override_reason": None}), key=KEY)
    assert (await referral.execute(command, key=KEY))["events"][0] == "referral.accepted.v1"


async def break_all(bench: Bench) -> None:
    """End every connection of the pool, several of which are open and idle, from the database's side."""
    await asyncio.gather(*(bench.rows("SELECT pg_sleep(0.05)") for _ in range(3)))
    with suppress(*STORE_ERRORS):  # the connection that asks ends with the others
        await bench.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        )


async def test_a_command_does_not_notice_that_all_connections_were_closed(referral: Bench) -> None:
    """The database was restarted between two requests; the second is answered like the first."""
    command = await decision(referral)
    await break_all(referral)
    assert (await referral.execute(command, key=KEY))["events"][0] == "referral.accepted.v1"


async def test_events_survive_that_all_connections_are_closed_under_them(referral: Bench) -> None:
    """Delivery begins anew, on connections that live; the effect is there once."""
    event = referral_made()
    await referral.deliver(event)
    await break_all(referral)
    await referral.deliver(event, referral_made(a_child(2)))
    assert (await referral.journal_types()).count("referral.received.v1") == 2


async def test_a_command_that_leads_to_too_large_an_event_is_refused(
    referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is kept; the sentence says what to do."""
    monkeypatch.setattr(publication, "LARGEST_EVENT_BYTES", 100)
    with pytest.raises(Refused, match="Send less in one request"):
        await referral.execute(REFERRAL)
    assert await referral.rows("SELECT 1 FROM referrals") == []
    assert await referral.journal_types() == []
