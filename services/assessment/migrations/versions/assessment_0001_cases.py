"""Cases and caseloads."""

from alembic import op

revision = "assessment_0001"
down_revision = None
branch_labels = ("assessment",)
depends_on = ("kernel_0001",)

CASES = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('assessing', 'planned', 'closed')),
    child_id uuid NOT NULL,
    family_id uuid,
    referral_id uuid NOT NULL UNIQUE,  -- a referral leads to one case
    locality text NOT NULL,
    team text NOT NULL,
    lead_professional_id text NOT NULL,  -- a case without a lead cannot be written
    level integer NOT NULL CHECK (level BETWEEN 1 AND 4),
    points integer NOT NULL CHECK (points > 0),  -- what it takes of its lead's capacity while it is open
    needs jsonb NOT NULL,
    rules jsonb NOT NULL,
    policy_version text,
    reviews integer NOT NULL CHECK (reviews >= 0),
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    reviewed_at timestamptz,
    closed_at timestamptz,
    close_reason text CHECK (close_reason IN ('threshold_not_met', 'outcomes_met')),
    CHECK ((status = 'assessing') = (completed_at IS NULL)),  -- a plan or an end follows an assessment
    CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((closed_at IS NULL) = (close_reason IS NULL)),  -- no case ends without a reason
    CHECK ((reviews = 0) = (reviewed_at IS NULL))
)
"""

CASELOADS = """
CREATE TABLE caseloads (
    practitioner_id text PRIMARY KEY,
    cases integer NOT NULL CHECK (cases >= 0),
    points integer NOT NULL CHECK (points >= cases)  -- no case weighs nothing
)
"""


def upgrade() -> None:
    """Create the tables and the indexes of their lists."""
    op.execute(CASES)
    # A child has one open case, whoever refers and however many processes decide at the same moment.
    op.execute("CREATE UNIQUE INDEX cases_one_open_per_child ON cases (child_id) WHERE status <> 'closed'")
    op.execute("CREATE INDEX cases_by_child ON cases (child_id)")
    op.execute("CREATE INDEX cases_by_start ON cases (started_at, case_id)")
    op.execute("CREATE INDEX cases_by_lead ON cases (lead_professional_id, started_at)")
    op.execute("CREATE INDEX cases_by_locality ON cases (locality, started_at)")
    op.execute(CASELOADS)


def downgrade() -> None:
    """Remove the tables."""
    op.execute("DROP TABLE caseloads, cases")
