"""Dead letters of our own failures know how many events were handled before them: the limit on parking.

The number is written with the letter, so that nothing is written while nothing fails, and a worker that
starts again judges by what the one before it has seen.
"""

from alembic import op

revision = "kernel_0004"
down_revision = "kernel_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; letters from before do not count."""
    op.execute("ALTER TABLE dead_letters ADD COLUMN handled_before bigint")


def downgrade() -> None:
    """Forget the numbers."""
    op.execute("ALTER TABLE dead_letters DROP COLUMN handled_before")
