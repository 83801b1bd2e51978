"""Answers to state-changing requests, by the caller's Idempotency-Key."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

# For some requests a restored store has only the id that their events carry as their cause.
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
    """The answer to a request. `fingerprint` tells whether another request is the same."""

    fingerprint: str
    status: int
    body: Any


async def keep(connection: Connection, key: str, answer: Answer, *, cause: UUID, now: datetime) -> bool:
    """Store the answer to a request, in the transaction that carried it out.

    Returns False when this request, identified by its `cause`, was carried out before the store was restored.
    Raises UniqueViolationError when the key already has an answer. Either way this transaction must be rolled
    back. A concurrent request with the same key makes this one wait for its outcome.
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
    """Return the answer to an earlier request with this key, or None."""
    row = (await connection.execute(FIND, {"key": key})).one_or_none()
    return None if row is None else Answer(row.fingerprint, row.status, json.loads(row.body))
