"""Fewer indexes of cases: each costs every new case, and two were hardly used.

A child's open case is found by the index that keeps it the only one; only the closed ones need another.
Lists of one locality go along the index of beginnings: one case in ten or so is of it.
"""

from alembic import op

revision = "assessment_0002"
down_revision = "assessment_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop what new cases need not pay for."""
    op.execute("CREATE INDEX cases_closed_by_child ON cases (child_id) WHERE status = 'closed'")
    op.execute("DROP INDEX cases_by_child")
    op.execute("DROP INDEX cases_by_locality")


def downgrade() -> None:
    """Bring them back."""
    op.execute("CREATE INDEX cases_by_locality ON cases (locality, started_at)")
    op.execute("CREATE INDEX cases_by_child ON cases (child_id)")
    op.execute("DROP INDEX cases_closed_by_child")
