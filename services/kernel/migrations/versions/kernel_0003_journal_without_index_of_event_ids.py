"""The journal without an index of event ids: a second event of one id cannot be written anyway.

An event's id is derived from its cause, type, subject and number, and the subject's numbers are unique. The
index had a random place for each of a million events and was never read.
"""

from alembic import op

revision = "kernel_0003"
down_revision = "kernel_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the constraint and its index."""
    op.execute("ALTER TABLE journal DROP CONSTRAINT journal_event_id_key")


def downgrade() -> None:
    """Bring the constraint back."""
    op.execute("ALTER TABLE journal ADD CONSTRAINT journal_event_id_key UNIQUE (event_id)")
