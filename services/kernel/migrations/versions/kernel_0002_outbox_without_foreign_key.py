"""The outbox without its foreign key: the statement that fills it takes every position from the journal.

The check cost 5 microseconds a row, a tenth of the database's time for an event, and wrote a row lock into
every new journal entry (docs/decisions/0014-where-the-time-goes.md).
"""

from alembic import op

revision = "kernel_0002"
down_revision = "kernel_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the constraint."""
    op.execute("ALTER TABLE outbox DROP CONSTRAINT outbox_position_fkey")


def downgrade() -> None:
    """Bring the constraint back; it fails where a position has no entry."""
    op.execute(
        "ALTER TABLE outbox ADD CONSTRAINT outbox_position_fkey"
        " FOREIGN KEY (position) REFERENCES journal (position)"
    )
