"""Referrals."""

from alembic import op

revision = "referral_0001"
down_revision = None
branch_labels = ("referral",)
depends_on = ("kernel_0001",)

REFERRALS = """
CREATE TABLE referrals (
    referral_id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('received', 'accepted', 'redirected', 'closed')),
    child_id uuid NOT NULL,
    family_id uuid,
    agency text NOT NULL,
    agency_id text NOT NULL,
    agency_reference text,
    locality text NOT NULL,
    concerns text[] NOT NULL CHECK (cardinality(concerns) > 0),
    immediate_risk boolean NOT NULL,
    information_only boolean NOT NULL,
    received_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by text,
    UNIQUE (agency_id, agency_reference),  -- an agency that sends its referral twice has made one
    CHECK ((status = 'received') = (decided_at IS NULL))  -- a decision has a moment
)
"""


def upgrade() -> None:
    """Create the table and the indexes of its lists."""
    op.execute(REFERRALS)
    op.execute("CREATE INDEX referrals_by_child ON referrals (child_id, received_at)")
    op.execute("CREATE INDEX referrals_undecided ON referrals (received_at) WHERE status = 'received'")


def downgrade() -> None:
    """Remove the table."""
    op.execute("DROP TABLE referrals")
