"""Inbox, journal, outbox, deadlines, dead letters, requests and the relay's marks."""

from alembic import op

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None

TABLES = """
CREATE TABLE inbox (
    message_id uuid PRIMARY KEY,  -- the database, not a prior SELECT, decides who is first
    received_at timestamptz NOT NULL
);

CREATE TABLE journal (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    subject uuid NOT NULL,
    sequence integer NOT NULL CHECK (sequence > 0),
    key uuid NOT NULL,
    time timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid NOT NULL,
    data json NOT NULL,  -- json, not jsonb: a replay publishes the same bytes
    UNIQUE (subject, sequence)  -- an aggregate has one history
);

CREATE TABLE outbox (
    position bigint PRIMARY KEY REFERENCES journal (position)
);

CREATE TABLE bus_marks (
    topic text NOT NULL,
    partition integer NOT NULL,
    cluster_id text NOT NULL,
    end_offset bigint NOT NULL,  -- one past the highest offset that the broker acknowledged
    PRIMARY KEY (topic, partition)
);

CREATE TABLE deadlines (
    deadline_id uuid PRIMARY KEY,
    version integer NOT NULL,
    about uuid NOT NULL,
    case_id uuid,
    child_id uuid NOT NULL,
    kind text NOT NULL,
    rule text NOT NULL,
    state text NOT NULL CHECK (
        state IN ('scheduled', 'due_soon', 'due', 'overdue', 'met', 'paused', 'waived')
    ),
    trigger_at timestamptz NOT NULL,
    due_soon_at timestamptz NOT NULL,
    due_from timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    next_at timestamptz,  -- NULL when nothing more will be raised
    CHECK (trigger_at <= due_soon_at AND due_soon_at <= due_from AND due_from <= due_at)
);
CREATE INDEX deadlines_next ON deadlines (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deadlines_open ON deadlines (about, due_at) WHERE state NOT IN ('met', 'waived');

CREATE TABLE dead_letters (
    dead_letter_id uuid PRIMARY KEY,
    arrived bigint GENERATED ALWAYS AS IDENTITY,  -- the order in which waiting events are released
    state text NOT NULL CHECK (state IN ('parked', 'waiting', 'replayed', 'discarded')),
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    message_id uuid NOT NULL,
    type text,
    key bytea,
    value bytea,
    headers json NOT NULL,
    reason text NOT NULL,
    words text NOT NULL,
    traceback text,
    attempts integer NOT NULL,
    parked_at timestamptz NOT NULL,
    settled_at timestamptz,
    settled_by text
);
CREATE INDEX dead_letters_open ON dead_letters (key, arrived) WHERE state IN ('parked', 'waiting');

CREATE TABLE requests (
    key text PRIMARY KEY,  -- the caller's Idempotency-Key
    fingerprint text NOT NULL,
    status integer NOT NULL,
    body json NOT NULL,
    received_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    """Create the tables; the driver takes one statement at a time."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Remove the tables; journals are permanent, so this is for development only."""
    op.execute("DROP TABLE requests, dead_letters, deadlines, bus_marks, outbox, journal, inbox")
