"""Events that the broker refused, kept where they are: later ones of their child wait, all others go on."""

from alembic import op

revision = "kernel_0006"
down_revision = "kernel_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.execute(
        "CREATE TABLE refused_events ("
        " position bigint PRIMARY KEY,"
        " key uuid NOT NULL,"
        " reason text NOT NULL,"
        " refused_at timestamptz NOT NULL)"
    )


def downgrade() -> None:
    """Forget what was refused: the relay tries it again."""
    op.execute("DROP TABLE refused_events")
