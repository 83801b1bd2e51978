"""Answers to requests that changed something, by the caller's Idempotency-Key."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from services.kernel.connection import Connection

CLAIM = text("""
    INSERT INTO requests (key, fingerprint, status, body, received_at)
    VALUES (:key, :fingerprint, 0, 'null', :now)
    ON CONFLICT DO NOTHING RETURNING key
""")
ANSWER = text("UPDATE requests SET status = :status, body = CAST(:body AS json) WHERE key = :key")
FIND = text("SELECT fingerprint, status, body::text AS body FROM requests WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to an earlier request of the same key."""

    fingerprint: str
    status: int
    body: Any


async def claim(connection: Connection, key: str, *, fingerprint: str, now: datetime) -> Answer | None:
    """Claim a key in this transaction: None when it is new, else the earlier answer.

    A concurrent request of the same key makes this one wait for its outcome.
    """
    claimed = await connection.execute(CLAIM, {"key": key, "fingerprint": fingerprint, "now": now})
    if claimed.one_or_none() is not None:
        return None
    row = (await connection.execute(FIND, {"key": key})).one()
    return Answer(row.fingerprint, row.status, json.loads(row.body))


async def answer(connection: Connection, key: str, *, status: int, body: object) -> None:
    """Keep the answer of a claimed request."""
    await connection.execute(ANSWER, {"key": key, "status": status, "body": json.dumps(body)})
