"""Dead letters are found by a digest of their key: an index entry holds 2,704 bytes, a key of Kafka's more.

A record whose key was longer could not be parked, and stopped its partition for ever.
"""

from alembic import op

revision = "kernel_0005"
down_revision = "kernel_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index."""
    op.execute("DROP INDEX dead_letters_open")
    op.execute(
        "CREATE INDEX dead_letters_open ON dead_letters (sha256(key), arrived)"
        " WHERE state IN ('parked', 'waiting')"
    )


def downgrade() -> None:
    """Bring the index of whole keys back; fails where a long one is parked."""
    op.execute("DROP INDEX dead_letters_open")
    op.execute(
        "CREATE INDEX dead_letters_open ON dead_letters (key, arrived) WHERE state IN ('parked', 'waiting')"
    )
