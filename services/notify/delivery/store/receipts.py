"""SQL of receipts: which messages are asked about now."""

from sqlalchemy import text

# The next time is written before anybody asks: two workers never ask for the same, and none asks too often.
CLAIM = text("""
    WITH next AS (
        SELECT delivery_id, ask_until FROM deliveries
        WHERE ask_at <= :now AND message_id = delivery_id AND provider = :provider
        ORDER BY ask_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE deliveries SET ask_at = :again FROM next
    WHERE deliveries.delivery_id = next.delivery_id
    RETURNING deliveries.delivery_id, deliveries.reference, next.ask_until
""")
