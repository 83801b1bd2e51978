"""Referrals that fall through the net: counted from the tables, not from what was decided."""

from sqlalchemy import text

from services.kernel.postgres.connection import Connection

NET = text("""
    SELECT count(*) FILTER (
               WHERE status IS NULL OR status NOT IN ('received', 'accepted', 'redirected', 'closed')
           ) AS in_no_state,
           count(*) FILTER (
               WHERE status = 'received' AND NOT EXISTS (
                   SELECT FROM deadlines
                   WHERE about = referrals.referral_id AND state NOT IN ('met', 'waived', 'paused')
               )
           ) AS without_deadline
    FROM referrals
""")


async def count_net(connection: Connection) -> dict[str, int]:
    """Count referrals that are in no state, and undecided ones without a running deadline."""
    row = (await connection.execute(NET)).one()
    return {
        "referrals in no state": row.in_no_state,
        "undecided referrals without a running deadline": row.without_deadline,
    }
