"""Deliveries in place of e-mails; escalation, people's own arrangements, the chronology and subscriptions."""

from alembic import op

revision = "notify_0002"
down_revision = "notify_0001"
branch_labels = None
depends_on = None

ALERTS = """
ALTER TABLE alerts
    ADD COLUMN cause_id uuid,  -- the message that led to it; with role and recipient it makes the id
    ADD COLUMN stands_in_for text,
    ADD COLUMN team text,
    ADD COLUMN template text NOT NULL DEFAULT 'alert',
    ADD COLUMN escalates uuid,  -- the alert that was not seen in time
    ADD COLUMN repeats integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    ADD COLUMN repeated_at timestamptz,
    ADD COLUMN escalation_step integer NOT NULL DEFAULT 0 CHECK (escalation_step >= 0),
    ADD COLUMN next_escalation_at timestamptz,
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN settled_at timestamptz,  -- what it asked for has happened
    ADD CHECK ((repeats > 0) = (repeated_at IS NOT NULL)),
    ADD CHECK ((status = 'open' AND settled_at IS NULL) OR next_escalation_at IS NULL)  -- nothing to be done
"""

CAUSES = """
UPDATE alerts SET cause_id = journal.causation_id FROM journal
WHERE journal.subject = alerts.alert_id AND journal.sequence = 1
"""

SUBSCRIPTIONS = """
CREATE TABLE subscriptions (
    subscription_id uuid PRIMARY KEY,
    owner_kind text NOT NULL CHECK (owner_kind IN ('agency', 'team')),
    owner_id text NOT NULL,  -- an agency's id, a team's code
    channel text NOT NULL CHECK (channel IN ('webhook', 'chat')),
    url text NOT NULL,
    secret_reference text,  -- where the signing key is kept; the key itself is not in this database
    kinds text[] NOT NULL DEFAULT '{*}',
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL
)
"""

DELIVERIES = """
CREATE TABLE deliveries (
    delivery_id uuid PRIMARY KEY,  -- derived from alert, recipient and channel: the key of idempotence
    position bigint GENERATED ALWAYS AS IDENTITY,  -- the order in which they go out
    version integer NOT NULL CHECK (version >= 0),  -- the events of its history; 0: it has none
    alert_id uuid NOT NULL REFERENCES alerts (alert_id),
    child_id uuid NOT NULL,
    case_id uuid,
    recipient_id text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'webhook', 'chat')),
    subscription_id uuid REFERENCES subscriptions (subscription_id),
    template text NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'queued', 'sent', 'delivered', 'failed', 'not_needed')),
    message_id uuid NOT NULL,  -- the first delivery of its message; its own id unless a digest gathered it
    digest boolean NOT NULL DEFAULT false,
    held_until timestamptz,  -- the county's time, which may be simulated
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    refusals integer NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    next_attempt_at timestamptz,  -- real time, also where the county's is simulated; NULL: at once
    reason text,  -- of the last failure: a reply code or a kind of error, never a provider's own text
    provider text,
    reference text,  -- the provider's own id of the message
    queued_at timestamptz NOT NULL,
    sent_at timestamptz,
    delivered_at timestamptz,
    acknowledged_at timestamptz,
    CHECK ((channel IN ('webhook', 'chat')) = (subscription_id IS NOT NULL)),  -- an address of its own
    CHECK (state <> 'held' OR held_until IS NOT NULL),  -- nothing is held for ever
    CHECK (state NOT IN ('sent', 'delivered') OR sent_at IS NOT NULL),
    CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CHECK (state NOT IN ('failed', 'not_needed') OR reason IS NOT NULL)  -- nobody gives up without a reason
)
"""

# An id of its own, the same whenever it is made: the alert's own events have the numbers of the alert's id.
# So an e-mail that was queued goes out under another Message-ID than the one that was tried before.
E_MAILS = """
INSERT INTO deliveries (
    delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, template, state, message_id,
    attempts, refusals, next_attempt_at, reason, provider, queued_at, sent_at
)
SELECT delivery_id, 0, alert_id, child_id, case_id, recipient_id, 'email', 'alert',
    CASE e_mails.state WHEN 'refused' THEN 'failed' WHEN 'not_configured' THEN 'not_needed'
        ELSE e_mails.state END,
    delivery_id, attempts, refusals, next_attempt_at,
    CASE e_mails.state WHEN 'not_configured' THEN 'not_configured' WHEN 'not_needed' THEN 'acknowledged'
        ELSE reason END,
    CASE e_mails.state WHEN 'sent' THEN 'smtp' END, raised_at, sent_at
FROM e_mails JOIN alerts USING (alert_id),
    LATERAL (SELECT CAST(md5('email/' || alert_id) AS uuid) AS delivery_id) AS made
ORDER BY position
"""

E_MAILS_BACK = """
CREATE TABLE e_mails (
    alert_id uuid PRIMARY KEY REFERENCES alerts (alert_id),
    position bigint GENERATED ALWAYS AS IDENTITY,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'refused', 'not_configured', 'not_needed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    refusals integer NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    next_attempt_at timestamptz,
    reason text,
    sent_at timestamptz,
    CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CHECK (state <> 'refused' OR reason IS NOT NULL)
)
"""

DELIVERIES_BACK = """
INSERT INTO e_mails (alert_id, state, attempts, refusals, next_attempt_at, reason, sent_at)
SELECT DISTINCT ON (alert_id) alert_id,
    CASE state WHEN 'failed' THEN 'refused' WHEN 'held' THEN 'queued' WHEN 'delivered' THEN 'sent'
        WHEN 'not_needed' THEN CASE reason WHEN 'not_configured' THEN reason ELSE state END ELSE state END,
    attempts, refusals, next_attempt_at, reason,
    CASE WHEN state IN ('sent', 'delivered') THEN sent_at END
FROM deliveries WHERE channel = 'email' ORDER BY alert_id, position
"""

PREFERENCES = """
CREATE TABLE preferences (
    worker_id text NOT NULL,
    kind text NOT NULL,  -- an alert's kind, a deadline's state with :*, or * for all
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    choice text NOT NULL CHECK (choice IN ('at_once', 'digest', 'off')),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (worker_id, kind, channel)
)
"""

QUIET_HOURS = """
CREATE TABLE quiet_hours (
    worker_id text PRIMARY KEY,
    quiet_from time NOT NULL,  -- London time; the same as quiet_until: no quiet hours
    quiet_until time NOT NULL,
    digest text NOT NULL CHECK (digest IN ('daily', 'working_day')),
    digest_at time NOT NULL,
    changed_at timestamptz NOT NULL
)
"""

DELEGATIONS = """
CREATE TABLE delegations (
    delegation_id uuid PRIMARY KEY,
    worker_id text NOT NULL,
    to_id text,  -- NULL: the team's duty inbox
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,  -- NULL: for good, this person has left
    declared_by text NOT NULL,
    declared_at timestamptz NOT NULL,
    begun boolean NOT NULL DEFAULT false,  -- whether the open alerts have moved
    CHECK (ends_at >= starts_at),  -- equal: taken back before it began
    CHECK (to_id <> worker_id)
)
"""

KEY_WORKERS = """
CREATE TABLE key_workers (
    child_id uuid PRIMARY KEY,
    worker_id text,  -- NULL: nobody any more
    since timestamptz NOT NULL,
    version integer NOT NULL CHECK (version > 0)
)
"""

REVIEWING_OFFICERS = """
CREATE TABLE reviewing_officers (
    child_id uuid PRIMARY KEY,
    worker_id text NOT NULL,  -- who held the last review
    since date NOT NULL
)
"""

CHRONOLOGY = """
CREATE TABLE chronology (
    message_id uuid PRIMARY KEY,  -- the inbox's key of the event: it is there once
    child_id uuid NOT NULL,
    case_id uuid,
    event_id text NOT NULL,
    source text NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    subject uuid NOT NULL,
    sequence integer NOT NULL,
    data jsonb NOT NULL  -- ids, codes, dates and levels, as on the bus
)
"""

# One number that changes with every arrangement, so that a batch asks for the arrangements only then.
ARRANGEMENTS = """
CREATE TABLE arrangements (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
)
"""

CHANGED = """
CREATE FUNCTION arrangements_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO arrangements (version) VALUES (1)
    ON CONFLICT (single) DO UPDATE SET version = arrangements.version + 1;
    RETURN NULL;
END $$
"""

ARRANGED = ("preferences", "quiet_hours", "delegations", "subscriptions")


def upgrade() -> None:
    """Create the tables, carry the e-mails over, and index each list and queue."""
    op.execute(ALERTS)
    op.execute(CAUSES)
    op.execute("ALTER TABLE alerts ALTER COLUMN cause_id SET NOT NULL")
    # Partial ones: the index of the work to do stays small, however many alerts were ever raised.
    op.execute(
        "CREATE INDEX alerts_to_escalate ON alerts (next_escalation_at) WHERE next_escalation_at IS NOT NULL"
    )
    op.execute("CREATE INDEX alerts_open_by_child ON alerts (child_id) WHERE status = 'open'")
    op.execute("CREATE INDEX alerts_by_escalated ON alerts (escalates) WHERE escalates IS NOT NULL")
    op.execute(SUBSCRIPTIONS)
    op.execute(DELIVERIES)
    op.execute(E_MAILS)
    op.execute("DROP TABLE e_mails")
    op.execute(
        "CREATE INDEX deliveries_queued ON deliveries (channel, position)"
        " WHERE state = 'queued' AND message_id = delivery_id"
    )
    op.execute("CREATE INDEX deliveries_held ON deliveries (held_until) WHERE state = 'held'")
    op.execute("CREATE INDEX deliveries_by_alert ON deliveries (alert_id)")
    op.execute("CREATE INDEX deliveries_gathered ON deliveries (message_id) WHERE message_id <> delivery_id")
    op.execute(
        "CREATE INDEX deliveries_without_receipt ON deliveries (reference)"
        " WHERE state = 'sent' AND reference IS NOT NULL"
    )
    for statement in (PREFERENCES, QUIET_HOURS, DELEGATIONS, ARRANGEMENTS, CHANGED):
        op.execute(statement)
    for statement in (KEY_WORKERS, REVIEWING_OFFICERS, CHRONOLOGY):
        op.execute(statement)
    op.execute("CREATE INDEX delegations_to_begin ON delegations (starts_at) WHERE NOT begun")
    op.execute("CREATE INDEX chronology_by_child ON chronology (child_id, occurred_at, sequence)")
    for table in ARRANGED:
        op.execute(
            f"CREATE TRIGGER {table}_changed AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION arrangements_changed()"
        )


def downgrade() -> None:
    """Go back to e-mails. What went out on other channels, and what people had arranged, is lost."""
    op.execute(E_MAILS_BACK)
    op.execute(DELIVERIES_BACK)
    op.execute("CREATE INDEX e_mails_queued ON e_mails (position) WHERE state = 'queued'")
    op.execute(
        "DROP TABLE deliveries, subscriptions, preferences, quiet_hours, delegations, arrangements,"
        " key_workers, reviewing_officers, chronology"
    )
    op.execute("DROP FUNCTION arrangements_changed()")
    op.execute("DROP INDEX alerts_to_escalate, alerts_open_by_child, alerts_by_escalated")
    op.execute(
        "ALTER TABLE alerts DROP cause_id, DROP stands_in_for, DROP team, DROP template, DROP escalates,"
        " DROP repeats, DROP repeated_at, DROP escalation_step, DROP next_escalation_at,"
        " DROP snoozed_until, DROP settled_at"
    )
