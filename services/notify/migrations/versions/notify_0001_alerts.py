"""Alerts, the people they go to, and the e-mails that carry them."""

from alembic import op

revision = "notify_0001"
down_revision = None
branch_labels = ("notify",)
depends_on = ("kernel_0001",)

ALERTS = """
CREATE TABLE alerts (
    alert_id uuid PRIMARY KEY,  -- derived from cause, role and recipient: one cause tells one recipient once
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('open', 'acknowledged')),
    recipient_id text NOT NULL,
    role text NOT NULL,
    kind text NOT NULL,
    urgency text NOT NULL CHECK (urgency IN ('routine', 'soon', 'urgent')),
    says text NOT NULL,
    next_step text NOT NULL,
    about uuid NOT NULL,
    case_id uuid,
    child_id uuid NOT NULL,
    due_at timestamptz,
    raised_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    -- who and when belong to an acknowledgement, and only to one
    CHECK ((status = 'acknowledged') = (acknowledged_at IS NOT NULL AND acknowledged_by IS NOT NULL))
)
"""

REFERRERS = """
CREATE TABLE referrers (
    child_id uuid PRIMARY KEY,  -- the agency that referred last hears how it goes on
    agency_id text NOT NULL,
    locality text NOT NULL,
    referred_at timestamptz NOT NULL
)
"""

CASES = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    child_id uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'closed')),
    lead_professional_id text,
    team text,
    locality text,
    CHECK (status = 'open' OR lead_professional_id IS NULL)  -- a closed case has released its lead
)
"""

E_MAILS = """
CREATE TABLE e_mails (
    alert_id uuid PRIMARY KEY REFERENCES alerts (alert_id),  -- an alert is mailed once
    position bigint GENERATED ALWAYS AS IDENTITY,  -- the order in which they go out
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'refused', 'not_configured', 'not_needed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    refusals integer NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    next_attempt_at timestamptz,  -- real time, also where the county's time is simulated; NULL: at once
    reason text,  -- of the last failure: a reply code or a kind of error, never the server's own text
    sent_at timestamptz,
    CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CHECK (state <> 'refused' OR reason IS NOT NULL)  -- nobody gives up without a reason
)
"""


def upgrade() -> None:
    """Create the tables and the indexes of their lists."""
    op.execute(ALERTS)
    op.execute("CREATE INDEX alerts_by_recipient ON alerts (recipient_id, status, raised_at DESC)")
    op.execute("CREATE INDEX alerts_by_time ON alerts (raised_at DESC, alert_id)")
    op.execute("CREATE INDEX alerts_open_by_due ON alerts (due_at, alert_id) WHERE status = 'open'")
    op.execute(REFERRERS)
    op.execute(CASES)
    op.execute("CREATE INDEX cases_by_child ON cases (child_id)")
    op.execute(E_MAILS)
    op.execute("CREATE INDEX e_mails_queued ON e_mails (position) WHERE state = 'queued'")


def downgrade() -> None:
    """Remove the tables."""
    op.execute("DROP TABLE e_mails, cases, referrers, alerts")
