"""Keys by which a referring agency's system proves who it is. Only their hashes are kept.

A key is 256 random bits, so one round of SHA-256 is enough: nobody can try them all.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from sqlalchemy import text

from services.kernel.postgres.connection import Connection, Engine

PREFIX = "leadline-agency-"
"""How a key begins, so that people who find one, and scanners of code, can tell what it is."""

ISSUE = text("""
    INSERT INTO agency_keys (key_hash, key_id, agency_id, issued_at, issued_by)
    VALUES (:key_hash, :key_id, :agency_id, :now, :issued_by)
""")
FIND = text("SELECT agency_id FROM agency_keys WHERE key_hash = :key_hash AND revoked_at IS NULL")
LIST = text("""
    SELECT key_id, agency_id, issued_at, issued_by, revoked_at FROM agency_keys
    WHERE CAST(:agency_id AS text) IS NULL OR agency_id = :agency_id ORDER BY issued_at, key_id
""")
REVOKE = text("""
    UPDATE agency_keys SET revoked_at = :now WHERE key_id = :key_id AND revoked_at IS NULL RETURNING agency_id
""")


@dataclass(frozen=True, slots=True)
class AgencyKey:
    """A key as it is stored: its facts, never the key itself."""

    key_id: str
    agency_id: str
    issued_at: datetime
    issued_by: str
    revoked_at: datetime | None


class Doorkeeper(Protocol):
    """Tells to whom a key belongs. Whatever replaces keys one day replaces this."""

    async def find_agency(self, key: str) -> str | None:
        """Return the agency that a key belongs to; None for one that is unknown or revoked."""
        ...


class KeyTable:
    """The doorkeeper that looks into the notify service's store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find_agency(self, key: str) -> str | None:
        """Return the agency that a key belongs to; None for one that is unknown or revoked."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(FIND, {"key_hash": _hash(key)})).one_or_none()
        return None if row is None else row[0]


def new_key() -> str:
    """Return a new key: shown once, to the person who hands it to the agency."""
    return PREFIX + secrets.token_urlsafe(32)


async def issue(connection: Connection, agency_id: str, key: str, *, by: str, now: datetime) -> str:
    """Store a key's hash for an agency; return the id that names the key."""
    key_hash = _hash(key)
    key_id = key_hash.hex()[:12]
    values = {"key_hash": key_hash, "key_id": key_id, "agency_id": agency_id, "issued_by": by, "now": now}
    await connection.execute(ISSUE, values)
    return key_id


async def list_keys(connection: Connection, agency_id: str | None = None) -> Sequence[AgencyKey]:
    """Return the keys of an agency, or of all, revoked ones too, the oldest first."""
    rows = await connection.execute(LIST, {"agency_id": agency_id})
    return [AgencyKey(**dict(row)) for row in rows]


async def revoke(connection: Connection, key_id: str, *, now: datetime) -> str | None:
    """Revoke a key; return its agency, None where no such key was in use."""
    row = (await connection.execute(REVOKE, {"key_id": key_id, "now": now})).one_or_none()
    return None if row is None else row[0]


def _hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
