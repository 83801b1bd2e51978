"""SQL of what time brings: alerts that escalate, and who has heard of what already."""

from sqlalchemy import text

from services.notify.delivery.store import queue
from services.notify.store import preferences
from services.notify.store.batch import ALERT

CLAIM = text(f"""
    SELECT {ALERT} FROM alerts WHERE next_escalation_at <= :now
    ORDER BY next_escalation_at, alert_id LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608 - the columns are ours

TOLD = text(f"""
    SELECT {ALERT} FROM alerts WHERE alert_id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608 - the columns are ours

HAS_OPEN = text(f"""
    SELECT {ALERT} FROM alerts WHERE recipient_id = :worker_id AND status = 'open'
    ORDER BY alert_id FOR UPDATE
""")  # noqa: S608 - the columns are ours

HAVE_HEARD = text(f"""
    SELECT {ALERT} FROM alerts
    WHERE recipient_id = ANY(CAST(:recipients AS text[])) AND cause_id = ANY(CAST(:causes AS uuid[]))
""")  # noqa: S608 - the columns are ours

COUNT_DUE = text(f"""
    SELECT (SELECT count(*) FROM alerts WHERE next_escalation_at <= :now)
         + ({preferences.BEGINNING}) + ({queue.HELD_TOO_LONG})
""")  # noqa: S608 - the statements are ours
