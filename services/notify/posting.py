"""SQL about e-mails: claimed by one mailer, settled once. `store` queues them with their alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.kernel.connection import Connection

# SKIP LOCKED: an e-mail that a mailer is just sending goes; whoever acknowledges does not wait for it.
DROP = text("""
    UPDATE e_mails SET state = 'not_needed', next_attempt_at = NULL
    WHERE alert_id IN (
        SELECT alert_id FROM e_mails
        WHERE state = 'queued' AND alert_id = ANY(CAST(:ids AS uuid[]))
        FOR UPDATE SKIP LOCKED
    )
""")

# The e-mail first and alone, so that the index of the queue leads to one row however long the queue is.
CLAIM = text("""
    WITH claimed AS (
        SELECT alert_id, attempts, refusals FROM e_mails
        WHERE state = 'queued' AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
        ORDER BY position LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    SELECT claimed.attempts, claimed.refusals, alerts.alert_id, alerts.recipient_id, alerts.kind,
           alerts.says, alerts.next_step, alerts.about, alerts.case_id, alerts.due_at, alerts.raised_at
    FROM claimed JOIN alerts USING (alert_id)
""")

SENT = text("""
    UPDATE e_mails SET state = 'sent', sent_at = :now, attempts = attempts + 1, next_attempt_at = NULL
    WHERE alert_id = :id
""")

LATER = text("""
    UPDATE e_mails SET attempts = attempts + 1, refusals = :refusals, reason = :reason,
        next_attempt_at = :next_attempt_at
    WHERE alert_id = :id
""")

GIVE_UP = text("""
    UPDATE e_mails SET state = 'refused', attempts = attempts + 1, refusals = :refusals, reason = :reason,
        next_attempt_at = NULL
    WHERE alert_id = :id
""")

FIGURES = text("SELECT state, count(*) FROM e_mails GROUP BY state ORDER BY state")


@dataclass(frozen=True, slots=True)
class Email:
    """One claimed e-mail: what its alert says, and how often it was tried."""

    alert_id: UUID
    recipient_id: str
    kind: str
    says: str
    next_step: str
    about: UUID
    case_id: UUID | None
    due_at: datetime | None
    raised_at: datetime
    attempts: int = 0
    refusals: int = 0


async def drop(connection: Connection, alert_ids: Sequence[UUID]) -> None:
    """Take out of the queue what its recipient has meanwhile seen in the inbox."""
    if alert_ids:
        await connection.execute(DROP, {"ids": list(alert_ids)})


async def claim(connection: Connection, *, now: datetime) -> Email | None:
    """Lock and return the next e-mail to be tried; those that another mailer holds are passed over."""
    row = (await connection.execute(CLAIM, {"now": now})).one_or_none()
    return None if row is None else Email(**row)


async def sent(connection: Connection, alert_id: UUID, *, now: datetime) -> None:
    """Record that the mail server has taken an e-mail over."""
    await connection.execute(SENT, {"id": alert_id, "now": now})


async def try_later(
    connection: Connection, alert_id: UUID, *, refusals: int, reason: str, next_attempt_at: datetime
) -> None:
    """Record why an e-mail did not go, and when it is tried again."""
    parameters = {
        "id": alert_id,
        "refusals": refusals,
        "reason": reason,
        "next_attempt_at": next_attempt_at,
    }
    await connection.execute(LATER, parameters)


async def give_up(connection: Connection, alert_id: UUID, *, refusals: int, reason: str) -> None:
    """Record that an e-mail was refused for good."""
    await connection.execute(GIVE_UP, {"id": alert_id, "refusals": refusals, "reason": reason})


async def figures(connection: Connection) -> dict[str, int]:
    """Return how many e-mails there are by state."""
    return {row[0]: row[1] for row in await connection.execute(FIGURES)}
