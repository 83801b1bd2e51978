"""SQL of people's arrangements and subscriptions: read when they have changed, written by commands."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from schemas.events.codes import Channel
from services.kernel.messages.faults import Refused
from services.kernel.postgres.connection import Connection
from services.notify.book import Arranged
from services.notify.preferences.model import (
    Arrangements,
    ChoosePreference,
    ChooseQuietHours,
    DeclareAbsence,
    Delegation,
    EndAbsence,
    QuietHours,
    Subscription,
)

VERSION = text("SELECT version FROM arrangements")
PREFERENCES = text("SELECT worker_id, kind, channel, choice FROM preferences")
QUIET_HOURS = text("SELECT worker_id, quiet_from, quiet_until, digest, digest_at FROM quiet_hours")
DELEGATIONS = text("""
    SELECT delegation_id, worker_id, to_id, starts_at, ends_at FROM delegations
    ORDER BY declared_at, delegation_id
""")
SUBSCRIPTIONS = text("""
    SELECT subscription_id, owner_id, channel, kinds FROM subscriptions WHERE active
    ORDER BY created_at, subscription_id
""")

CHOOSE = text("""
    INSERT INTO preferences (worker_id, kind, channel, choice, changed_at)
    VALUES (:worker_id, :kind, :channel, :choice, :now)
    ON CONFLICT (worker_id, kind, channel) DO UPDATE SET
        choice = excluded.choice, changed_at = excluded.changed_at
""")
FORGET = text("""
    DELETE FROM preferences WHERE worker_id = :worker_id AND kind = :kind AND channel = :channel
""")
CHOOSE_HOURS = text("""
    INSERT INTO quiet_hours (worker_id, quiet_from, quiet_until, digest, digest_at, changed_at)
    VALUES (:worker_id, :quiet_from, :quiet_until, :digest, :digest_at, :now)
    ON CONFLICT (worker_id) DO UPDATE SET
        quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until, digest = excluded.digest,
        digest_at = excluded.digest_at, changed_at = excluded.changed_at
""")
DECLARE = text("""
    INSERT INTO delegations (delegation_id, worker_id, to_id, starts_at, ends_at, declared_by, declared_at)
    VALUES (:delegation_id, :worker_id, :to_id, :starts_at, :ends_at, :declared_by, :now)
""")
# It ends now; one that was still to come ends as it starts, so it never holds and has nothing to move.
END = text("""
    UPDATE delegations
    SET begun = true, ends_at = greatest(CAST(:now AS timestamptz), starts_at)
    WHERE delegation_id = :delegation_id AND worker_id = :worker_id
      AND (ends_at IS NULL OR ends_at > :now)
    RETURNING delegation_id
""")

# Those that began while nobody looked and are over have nothing to move; the claim marks them all.
CLAIM_BEGINNING = text("""
    UPDATE delegations SET begun = true
    WHERE delegation_id = (
        SELECT delegation_id FROM delegations WHERE NOT begun AND starts_at <= :now
        ORDER BY starts_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING delegation_id, worker_id, to_id, starts_at, ends_at
""")
BEGINNING = "SELECT count(*) FROM delegations WHERE NOT begun AND starts_at <= :now"


async def load(connection: Connection, known: Arrangements | None) -> Arrangements:
    """Return the arrangements as they are; `known` again when nothing has changed since."""
    rows = await connection.execute(VERSION)
    version = int(rows[0][0]) if rows else 0
    if known is not None and known.version == version:
        return known
    return Arrangements(
        version=version,
        preferences={
            (row.worker_id, row.kind, row.channel): row.choice
            for row in await connection.execute(PREFERENCES)
        },
        quiet_hours={
            row.worker_id: QuietHours(row.quiet_from, row.quiet_until, row.digest, row.digest_at)
            for row in await connection.execute(QUIET_HOURS)
        },
        delegations=_grouped("worker_id", map(_delegation, await connection.execute(DELEGATIONS))),
        subscriptions=_grouped(
            "owner_id",
            (
                Subscription(row.subscription_id, row.owner_id, Channel(row.channel), tuple(row.kinds))
                for row in await connection.execute(SUBSCRIPTIONS)
            ),
        ),
    )


async def save(connection: Connection, arranged: Sequence[Arranged]) -> None:
    """Write what people have arranged. Raises Refused for an absence that is not there or is over."""
    for each in arranged:
        command, now = each.command, each.at
        match command:
            case ChoosePreference(choice=None):
                await connection.execute(FORGET, command.model_dump() | {"channel": command.channel.value})
            case ChoosePreference():
                values = command.model_dump() | {"channel": command.channel.value, "now": now}
                await connection.execute(CHOOSE, values)
            case ChooseQuietHours():
                await connection.execute(CHOOSE_HOURS, command.model_dump() | {"now": now})
            case DeclareAbsence():
                values = command.model_dump() | {"delegation_id": each.identity, "now": now}
                await connection.execute(DECLARE, values)
            case EndAbsence():
                ended = await connection.execute(END, command.model_dump() | {"now": now})
                if not ended:
                    sentence = (
                        f"{command.worker_id} has no such absence now or later: nothing is to be ended."
                    )
                    raise Refused(sentence, missing=True)


async def claim_beginning(connection: Connection, *, now: datetime) -> Delegation | None:
    """Return an absence that begins, marked as begun; those that another scanner holds are passed over."""
    row = (await connection.execute(CLAIM_BEGINNING, {"now": now})).one_or_none()
    return None if row is None else _delegation(row)


def _delegation(row: Any) -> Delegation:
    return Delegation(row.delegation_id, row.worker_id, row.to_id, row.starts_at, row.ends_at)


def _grouped(attribute: str, items: Any) -> Mapping[str, tuple[Any, ...]]:
    grouped: defaultdict[str, list[Any]] = defaultdict(list)
    for item in items:
        grouped[getattr(item, attribute)].append(item)
    return {owner: tuple(each) for owner, each in grouped.items()}
