"""Answers to requests that changed something, by the caller's Idempotency-Key."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from services.kernel.connection import Connection

KEEP = text("""
    INSERT INTO requests (key, fingerprint, status, body, received_at)
    VALUES (:key, :fingerprint, :status, CAST(:body AS json), :now)
""")
FIND = text("SELECT fingerprint, status, body::text AS body FROM requests WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `fingerprint` tells whether another one is the same."""

    fingerprint: str
    status: int
    body: Any


async def keep(connection: Connection, key: str, answer: Answer, *, now: datetime) -> None:
    """Keep the answer of a request, in the transaction that did what was asked.

    UniqueViolationError when the key has an answer already: then nothing of this transaction may stay. A
    concurrent request of the same key makes this one wait for its outcome.
    """
    parameters = {
        "key": key,
        "fingerprint": answer.fingerprint,
        "status": answer.status,
        "body": json.dumps(answer.body),
        "now": now,
    }
    await connection.execute(KEEP, parameters)


async def find(connection: Connection, key: str) -> Answer | None:
    """Return what was answered to an earlier request of this key, or None."""
    row = (await connection.execute(FIND, {"key": key})).one_or_none()
    return None if row is None else Answer(row.fingerprint, row.status, json.loads(row.body))
