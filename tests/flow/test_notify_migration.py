"""What an older store holds counts in today's: no email is lost, what is still to go leaves evidence."""

from datetime import timedelta
from importlib import resources
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from schemas.events.codes import Channel
from services.kernel.postgres.database import migrate, synchronously
from services.notify.app import build
from services.notify.delivery.store import claims, queue
from services.notify.delivery.store.claims import SenderKey
from tests.builders import MONDAY
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_referrer_loop import received

pytestmark = pytest.mark.connected

ALERTS = """
    INSERT INTO alerts (alert_id, version, status, recipient_id, role, kind, urgency, says, next_step, about,
        child_id, raised_at)
    SELECT md5(n::text)::uuid, 1, 'open', 'W-0601', 'lead_professional', 'plan.reviewed', 'soon', 'x', 'y',
        md5('a')::uuid, md5('c')::uuid, now()
    FROM generate_series(1, 5) AS n
"""
JOURNAL = """
    INSERT INTO journal (event_id, type, subject, sequence, key, time, correlation_id, causation_id, data)
    SELECT md5('e' || n)::uuid, 'alert.raised.v1', md5(n::text)::uuid, 1, md5('c')::uuid, now(),
        md5('m' || n)::uuid, md5('m' || n)::uuid, '{}'
    FROM generate_series(1, 5) AS n
"""
E_MAILS = """
    INSERT INTO e_mails (alert_id, state, attempts, refusals, reason, sent_at) VALUES
        (md5('1')::uuid, 'queued', 2, 0, '451', NULL),
        (md5('2')::uuid, 'sent', 1, 0, NULL, now()),
        (md5('3')::uuid, 'refused', 3, 3, '550 5.1.1', NULL),
        (md5('4')::uuid, 'not_configured', 0, 0, NULL, NULL),
        (md5('5')::uuid, 'not_needed', 0, 0, NULL, NULL)
"""


@pytest.fixture
async def notify(bench: MakeBench) -> Bench:
    return await bench("notify", build)


def _config(connection: Connection) -> Config:
    kernel = resources.files("services.kernel") / "migrations"
    own = resources.files("services.notify") / "migrations" / "versions"
    config = Config()
    config.set_main_option("script_location", str(kernel))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{kernel / 'versions'}\n{own}")
    config.attributes["connection"] = connection
    return config


async def back(bench: Bench, to: str = "notify_0001") -> None:
    """Go back to an earlier store: as it was before there were deliveries, unless another one is named."""
    await synchronously(bench.engine, lambda it: command.downgrade(_config(it), to))


async def execute(bench: Bench, *statements: str) -> None:
    async with bench.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def deliveries(bench: Bench) -> list[tuple[Any, ...]]:
    rows = await bench.rows(
        "SELECT state, attempts, refusals, reason, provider, delivery_id <> alert_id,"
        " message_id = delivery_id FROM deliveries ORDER BY position"
    )
    return [tuple(row) for row in rows]


async def test_emails_become_deliveries_in_their_order_and_states(notify: Bench) -> None:
    """What was queued stays queued, under an id of its own; alerts learn their cause from the journal."""
    await back(notify)
    await execute(notify, ALERTS, JOURNAL, E_MAILS)
    await migrate(notify.engine, "notify")
    assert await deliveries(notify) == [
        ("queued", 2, 0, "451", None, True, True),
        ("sent", 1, 0, None, "smtp", True, True),
        ("failed", 3, 3, "550 5.1.1", None, True, True),
        ("not_needed", 0, 0, "not_configured", None, True, True),
        ("not_needed", 0, 0, "acknowledged", None, True, True),
    ]
    rows = await notify.rows(
        "SELECT cause_id = md5('m' || n)::uuid FROM alerts, generate_series(1, 5) AS n"
        " WHERE alert_id = md5(n::text)::uuid"
    )
    assert [row[0] for row in rows] == [True] * 5


async def test_going_back_and_forth_loses_no_email(notify: Bench) -> None:
    """A release that is taken back finds its emails as they were."""
    await back(notify)
    await execute(notify, ALERTS, JOURNAL, E_MAILS)
    before = await notify.rows("SELECT alert_id, state, attempts, refusals FROM e_mails ORDER BY 1")
    await migrate(notify.engine, "notify")
    await back(notify)
    assert await notify.rows("SELECT alert_id, state, attempts, refusals FROM e_mails ORDER BY 1") == before
    await migrate(notify.engine, "notify")
    assert len(await deliveries(notify)) == 5


async def test_email_that_was_queued_is_sent_with_its_evidence(notify: Bench) -> None:
    """Its events are numbered beside those of its alert, not among them."""
    await back(notify)
    await execute(notify, ALERTS, JOURNAL, E_MAILS)
    await migrate(notify.engine, "notify")
    async with notify.engine.begin() as connection:
        real = {"now": MONDAY, "until": MONDAY + timedelta(minutes=2)}
        (message,) = await claims.claim(
            connection, SenderKey(Channel.EMAIL), limit=9, claim_id=uuid4(), **real
        )
        await queue.sent(connection, message, provider="smtp", now=MONDAY)
    (row,) = await notify.rows("SELECT version, state FROM deliveries WHERE attempts = 3 AND refusals = 0")
    assert (row.version, row.state) == (1, "sent")
    (told,) = await notify.rows("SELECT subject, sequence FROM journal WHERE type = 'notification.sent.v1'")
    assert tuple(told) == (message.message_id, 1)


async def test_updates_that_were_told_before_get_the_digest_of_their_cursors(notify: Bench) -> None:
    """As they would have got it when they were told."""
    digests = "SELECT agency_id, position, digest FROM referrer_updates ORDER BY 1, 2"
    last = "SELECT agency_id, digest FROM referrer_positions ORDER BY 1"
    await notify.deliver(received(1), received(2, "police-1"), received(3))
    before = [await notify.rows(digests), await notify.rows(last)]
    assert [len(rows) for rows in before] == [3, 2]
    await back(notify, "notify_0004")
    await migrate(notify.engine, "notify")
    assert [await notify.rows(digests), await notify.rows(last)] == before
