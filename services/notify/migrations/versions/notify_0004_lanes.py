"""Claims that outlive their transaction, one lane per endpoint, and asking for receipts."""

from alembic import op

revision = "notify_0004"
down_revision = "notify_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what senders write into a delivery, and the indexes of their questions."""
    op.execute("""
        ALTER TABLE deliveries
            ADD COLUMN claim uuid,  -- who is sending it, or has and heard no answer; only in the queue
            ADD COLUMN ask_at timestamptz,  -- real time: when the provider is next asked for a receipt
            ADD COLUMN ask_until timestamptz,  -- after which no answer is the answer
            ADD CHECK (claim IS NULL OR state = 'queued'),
            ADD CHECK (ask_at IS NULL OR (state = 'sent' AND ask_until IS NOT NULL AND reference IS NOT NULL))
    """)
    op.execute(
        "CREATE INDEX deliveries_of_endpoint ON deliveries (subscription_id, position)"
        " WHERE state = 'queued' AND message_id = delivery_id AND subscription_id IS NOT NULL"
    )
    op.execute("CREATE INDEX deliveries_to_ask ON deliveries (ask_at) WHERE ask_at IS NOT NULL")
    # Receipts name our own id; nothing looks a delivery up by the provider's.
    op.execute("DROP INDEX deliveries_without_receipt")


def downgrade() -> None:
    """Forget who was sending: what was on its way may go again."""
    op.execute("DROP INDEX deliveries_of_endpoint, deliveries_to_ask")
    op.execute(
        "CREATE INDEX deliveries_without_receipt ON deliveries (reference)"
        " WHERE state = 'sent' AND reference IS NOT NULL"
    )
    op.execute("ALTER TABLE deliveries DROP claim, DROP ask_at, DROP ask_until")
