"""A cursor stands for the updates that were read, not for their number alone."""

from alembic import op

revision = "notify_0005"
down_revision = "notify_0004"
branch_labels = None
depends_on = None

# As `referrer_rows.APPEND` makes it.
MARK = "CAST(CAST('x' || left(replace(CAST(update_id AS text), '-', ''), 16) AS bit(64)) AS bigint)"

FILL_UPDATES = f"""
UPDATE referrer_updates SET digest = told.digest
FROM (
    SELECT update_id, bit_xor({MARK}) OVER (PARTITION BY agency_id ORDER BY position) AS digest
    FROM referrer_updates
) AS told
WHERE told.update_id = referrer_updates.update_id
"""  # noqa: S608 - the text is ours

FILL_POSITIONS = """
UPDATE referrer_positions SET digest = referrer_updates.digest FROM referrer_updates
WHERE referrer_updates.agency_id = referrer_positions.agency_id AND position = last_position
"""


def upgrade() -> None:
    """Add the digest of all updates up to each, whatever their order."""
    for table in ("referrer_updates", "referrer_positions"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN digest bigint")
    op.execute(FILL_UPDATES)
    op.execute(FILL_POSITIONS)
    for table in ("referrer_updates", "referrer_positions"):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN digest SET NOT NULL")


def downgrade() -> None:
    """Go back to cursors that name one update."""
    for table in ("referrer_updates", "referrer_positions"):
        op.execute(f"ALTER TABLE {table} DROP digest")
