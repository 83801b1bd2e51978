"""Answers to requests that changed something, by the caller's Idempotency-Key."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

# A store that was restored knows requests of which it has only the id that their events carry as cause.
KEEP = text("""
    INSERT INTO requests (key, fingerprint, status, body, received_at)
    SELECT CAST(:key AS text), CAST(:fingerprint AS text), CAST(:status AS integer), CAST(:body AS json),
           CAST(:now AS timestamptz)
    WHERE NOT EXISTS (SELECT FROM requests WHERE key = CAST(:cause AS text))
    RETURNING key
""")
FIND = text("SELECT fingerprint, status, body::text AS body FROM requests WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request. `fingerprint` tells whether another one is the same."""

    fingerprint: str
    status: int
    body: Any


async def keep(connection: Connection, key: str, answer: Answer, *, cause: UUID, now: datetime) -> bool:
    """Keep the answer of a request, in the transaction that did what was asked.

    False when this request, known by the id of its `cause`, was done before the store was restored, and
    UniqueViolationError when the key has an answer already: either way nothing of this transaction may
    stay. A concurrent request of the same key makes this one wait for its outcome.
    """
    parameters = {
        "key": key,
        "fingerprint": answer.fingerprint,
        "status": answer.status,
        "body": json.dumps(answer.body),
        "cause": str(cause),
        "now": now,
    }
    return bool(await connection.execute(KEEP, parameters))


async def find(connection: Connection, key: str) -> Answer | None:
    """Return what was answered to an earlier request of this key, or None."""
    row = (await connection.execute(FIND, {"key": key})).one_or_none()
    return None if row is None else Answer(row.fingerprint, row.status, json.loads(row.body))
