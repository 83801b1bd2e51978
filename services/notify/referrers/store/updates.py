"""SQL of updates to referring agencies: written with the events, read by position.

A position is given under a lock on its agency that lasts until the commit, so positions become visible in
their order and without gaps: a reader who has read up to one never misses an earlier one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from schemas.events import REGISTRY
from services.kernel.messages.arrivals import Arrival
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Connection, Row
from services.kernel.postgres.statements import sql
from services.notify.referrers.policy import TELLING, Heard, ReferrerRules, Update, updates

# Two workers may read one child's events on two topics at once, and neither sees what the other has not
# committed. The locks are held until the commit and taken in one order, after everything that decisions lock.
# Children share 1024 of them: the server has room for no more than some thousands at once.
CHILD = Columns(child_id="uuid")
LOCK = sql(
    """
    SELECT pg_advisory_xact_lock(7301945, lock) FROM (
        SELECT DISTINCT hashtext(CAST(child_id AS text)) & 1023 AS lock FROM {children} ORDER BY lock
    ) AS locks
    """,
    children=CHILD.unnest("child"),
)
HEARD = text("""
    SELECT child_id, message_id, type, CAST(data AS text) AS data FROM heard_events
    WHERE child_id = ANY(:children) AND type = ANY(:types)
    ORDER BY child_id, occurred_at, sequence, message_id
""")

UPDATE = Columns(
    update_id="uuid",
    agency_id="text",
    referral_id="uuid",
    agency_reference="text",
    state="text",
    occurred_at="timestamptz",
    redirected_to="text",
    lead_professional_id="text",
    team="text",
    message_id="uuid",
)

# The children are locked: nobody else writes an update of theirs between the look and the insert. `digest` is
# of all updates up to one, in whatever order: half of each id, each id being a hash already.
APPEND = sql(
    """
    WITH fresh AS (
        SELECT *, CAST(
            CAST('x' || left(replace(CAST(update_id AS text), '-', ''), 16) AS bit(64)) AS bigint
        ) AS mark
        FROM {given}
        WHERE NOT EXISTS (SELECT FROM referrer_updates WHERE referrer_updates.update_id = given.update_id)
    ), moved AS (
        INSERT INTO referrer_positions (agency_id, last_position, digest)
        SELECT agency_id, count(*), bit_xor(mark) FROM fresh GROUP BY agency_id ORDER BY agency_id
        ON CONFLICT (agency_id) DO UPDATE
            SET last_position = referrer_positions.last_position + excluded.last_position,
                digest = referrer_positions.digest # excluded.digest
        RETURNING agency_id, last_position, digest
    )
    INSERT INTO referrer_updates ({update}, position, digest)
    SELECT {update},
           last_position + 1 - row_number() OVER (PARTITION BY agency_id ORDER BY ordinal DESC),
           digest # coalesce(bit_xor(mark) OVER (
               PARTITION BY agency_id ORDER BY ordinal ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
           ), 0)
    FROM fresh JOIN moved USING (agency_id)
    """,
    given=UPDATE.unnest("given", ordinal=True),
    update=UPDATE,
)

AFTER = sql(
    """
    SELECT {update}, position, digest FROM referrer_updates
    WHERE agency_id = :agency_id AND position > :position
    ORDER BY position LIMIT :limit
    """,
    update=UPDATE,
)
AT = text("SELECT digest FROM referrer_updates WHERE agency_id = :agency_id AND position = :position")
OF_ALERTS = text("""
    SELECT alert_id, position, update_id, agency_id, referral_id, agency_reference, state, occurred_at,
           message_id, redirected_to, lead_professional_id, referrer_updates.team
    FROM alerts JOIN referrer_updates ON message_id = cause_id AND agency_id = recipient_id
    WHERE alert_id = ANY(:ids)
    ORDER BY position
""")

TYPES = sorted(event.wire_type for event in TELLING)


@dataclass(frozen=True, slots=True)
class Placed:
    """An update and its position among all of its agency's."""

    position: int
    digest: int
    """Of all updates up to this one."""
    update: Update


async def tell(connection: Connection, arrivals: Sequence[Arrival], rules: ReferrerRules) -> None:
    """Append the updates that follow from these events, which `chronology.hear` has stored."""
    children = sorted({each.event.child_id for each in arrivals if isinstance(each.event, TELLING)})
    if not children:
        return
    await connection.execute(LOCK, {"child_id": children})
    stories = await heard_of(connection, children)
    due = [update for story in stories.values() for update in updates(story, rules)]
    if due:
        await connection.execute(APPEND, UPDATE.of(due))


async def heard_of(connection: Connection, children: Sequence[UUID]) -> dict[UUID, tuple[Heard, ...]]:
    """Return the events of children that concern referrers; a child without any is left out."""
    by_child: defaultdict[UUID, list[Heard]] = defaultdict(list)
    for row in await connection.execute(HEARD, {"children": list(children), "types": TYPES}):
        event = REGISTRY[row.type].model_validate_json(row.data)
        by_child[row.child_id].append(Heard(row.message_id, event))
    return {child_id: tuple(story) for child_id, story in by_child.items()}


async def after(connection: Connection, agency_id: str, position: int, *, limit: int) -> list[Placed]:
    """Return an agency's updates after a position, in their order."""
    rows = await connection.execute(AFTER, {"agency_id": agency_id, "position": position, "limit": limit})
    return [_placed(row) for row in rows]


async def find_at(connection: Connection, agency_id: str, position: int) -> int | None:
    """Return the digest of an agency's updates up to a position; None where it has none there."""
    row = (await connection.execute(AT, {"agency_id": agency_id, "position": position})).one_or_none()
    return None if row is None else row[0]


async def of_alerts(connection: Connection, alert_ids: Sequence[UUID]) -> dict[UUID, list[Update]]:
    """Return the updates behind alerts to agencies, by alert."""
    by_alert: dict[UUID, list[Update]] = {each: [] for each in alert_ids}
    for row in await connection.execute(OF_ALERTS, {"ids": list(alert_ids)}):
        facts = dict(row)
        by_alert[facts.pop("alert_id")].append(_update(facts))
    return by_alert


def _placed(row: Row) -> Placed:
    facts = dict(row)
    return Placed(row.position, facts.pop("digest"), _update(facts))


def _update(facts: dict[str, Any]) -> Update:
    del facts["position"]
    return Update(**facts)
