"""The chronology as other services' events and our own together; what referring agencies have been told."""

from alembic import op

revision = "notify_0003"
down_revision = "notify_0002"
branch_labels = None
depends_on = None

# Our own events are in the journal already: a second copy of each alert would double what one costs. Those
# that we read back from the bus, because somebody is told of them, show once. The others never were messages
# to us: their own id stands in for the message's.
CHRONOLOGY = """
CREATE VIEW chronology AS
SELECT message_id, child_id, case_id, event_id, source, type, occurred_at, subject, sequence, data
FROM heard_events
UNION ALL
SELECT event_id, key, CAST(data ->> 'case_id' AS uuid), CAST(event_id AS text), '/leadline/notify', type,
    time, subject, sequence, CAST(data AS jsonb)
FROM journal
WHERE NOT EXISTS (
    SELECT FROM heard_events
    WHERE heard_events.child_id = journal.key AND heard_events.source = '/leadline/notify'
      AND heard_events.event_id = CAST(journal.event_id AS text)
)
"""

UPDATES = """
CREATE TABLE referrer_updates (
    agency_id text NOT NULL,
    position bigint NOT NULL CHECK (position > 0),  -- 1, 2, 3 for each agency, in the order of commits
    update_id uuid NOT NULL UNIQUE,  -- derived from what led to it: an agency is told once
    referral_id uuid NOT NULL,
    agency_reference text,
    state text NOT NULL CHECK (
        state IN ('received', 'accepted', 'redirected', 'lead_professional_assigned', 'closed')
    ),
    occurred_at timestamptz NOT NULL,
    redirected_to text,
    lead_professional_id text,  -- this and the team only as far as the council lets agencies know
    team text,
    message_id uuid NOT NULL,  -- of the event that is told; an alert about it has it as its cause
    PRIMARY KEY (agency_id, position),
    CHECK ((state = 'redirected') = (redirected_to IS NOT NULL)),
    CHECK (state = 'lead_professional_assigned' OR team IS NULL),
    CHECK (lead_professional_id IS NULL OR team IS NOT NULL)
)
"""

# Locked until the transaction ends: whoever sees a position sees all before it.
POSITIONS = """
CREATE TABLE referrer_positions (
    agency_id text PRIMARY KEY,
    last_position bigint NOT NULL CHECK (last_position > 0)
)
"""

KEYS = """
CREATE TABLE agency_keys (
    key_hash bytea PRIMARY KEY CHECK (length(key_hash) = 32),  -- SHA-256; the key itself is nowhere
    key_id text NOT NULL UNIQUE,  -- by which people speak of it
    agency_id text NOT NULL,
    issued_at timestamptz NOT NULL,
    issued_by text NOT NULL,
    revoked_at timestamptz
)
"""


def upgrade() -> None:
    """Make the chronology a view, and the tables of the referrers."""
    op.execute("ALTER TABLE chronology RENAME TO heard_events")
    op.execute("ALTER INDEX chronology_pkey RENAME TO heard_events_pkey")
    op.execute("ALTER INDEX chronology_by_child RENAME TO heard_events_by_child")
    op.execute("CREATE INDEX journal_by_child ON journal (key, time)")
    op.execute(CHRONOLOGY)
    for statement in (UPDATES, POSITIONS, KEYS):
        op.execute(statement)
    op.execute("CREATE INDEX referrer_updates_by_message ON referrer_updates (message_id)")


def downgrade() -> None:
    """Go back to the table of what was heard; what agencies were told, and their keys, are lost."""
    op.execute("DROP TABLE referrer_updates, referrer_positions, agency_keys")
    op.execute("DROP VIEW chronology")
    op.execute("DROP INDEX journal_by_child")
    op.execute("ALTER TABLE heard_events RENAME TO chronology")
    op.execute("ALTER INDEX heard_events_pkey RENAME TO chronology_pkey")
    op.execute("ALTER INDEX heard_events_by_child RENAME TO chronology_by_child")
