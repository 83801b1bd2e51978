"""SQL by which the notify store comes back: what no event of its own says, and what channels have told."""

from sqlalchemy import text

# The address of a subscription is on no bus. What is still to go there fails, and operations hear of it.
STAND_IN = text("""
    INSERT INTO subscriptions (subscription_id, owner_kind, owner_id, channel, url, active, created_at)
    SELECT DISTINCT ON (subscription_id)
        subscription_id, owner_kind, owner_id, channel, :lost, false, created_at
    FROM unnest(
        CAST(:subscription_id AS uuid[]), CAST(:owner_kind AS text[]), CAST(:owner_id AS text[]),
        CAST(:channel AS text[]), CAST(:created_at AS timestamptz[])
    ) AS wanted (subscription_id, owner_kind, owner_id, channel, created_at)
    ON CONFLICT DO NOTHING
""")

WITHOUT_ADDRESS = text("SELECT subscription_id FROM subscriptions WHERE url = :lost")

# Whoever was sending at the moment of the backup has let go since: else nothing had happened to the delivery.
LET_GO = text("""
    UPDATE deliveries SET claim = NULL
    WHERE delivery_id = ANY(CAST(:delivery_id AS uuid[])) AND claim IS NOT NULL
""")

# Emails that were queued before there were deliveries have no event that says so.
QUEUED_BEFORE = text("""
    INSERT INTO deliveries (
        delivery_id, version, alert_id, child_id, case_id, recipient_id, channel, template, state, message_id,
        queued_at
    )
    SELECT told.delivery_id, 0, alert_id, child_id, case_id, recipient_id, 'email', template, 'queued',
        told.delivery_id, raised_at
    FROM unnest(CAST(:delivery_id AS uuid[]), CAST(:alert_id AS uuid[])) AS told (delivery_id, alert_id)
    JOIN alerts USING (alert_id)
    ON CONFLICT DO NOTHING
""")

# As the migration has left them: nobody escalates what was raised before anything escalated.
NEVER_ESCALATED = text("""
    UPDATE alerts SET next_escalation_at = NULL WHERE alert_id = ANY(CAST(:ids AS uuid[]))
""")

UNSURE = text("""
    SELECT alert_id FROM alerts
    WHERE alert_id = ANY(CAST(:ids AS uuid[])) AND urgency <> 'routine'
      AND NOT EXISTS (SELECT FROM deliveries WHERE deliveries.alert_id = alerts.alert_id)
""")

SENT = text("""
    UPDATE deliveries SET state = 'sent', sent_at = told.sent_at, attempts = told.attempts,
        provider = told.provider, reference = told.reference, message_id = told.message_id,
        digest = digest OR told.message_id <> told.delivery_id OR EXISTS (
            SELECT FROM deliveries AS part
            WHERE part.message_id = told.delivery_id AND part.delivery_id <> told.delivery_id
        ),
        reason = NULL, next_attempt_at = NULL, claim = NULL,
        ask_at = CASE WHEN told.reference IS NOT NULL THEN now() END,
        ask_until = CASE WHEN told.reference IS NOT NULL THEN now() + CAST(:ask_for AS interval) END
    FROM unnest(
        CAST(:delivery_id AS uuid[]), CAST(:message_id AS uuid[]), CAST(:provider AS text[]),
        CAST(:reference AS text[]), CAST(:attempts AS integer[]), CAST(:sent_at AS timestamptz[])
    ) AS told (delivery_id, message_id, provider, reference, attempts, sent_at)
    WHERE deliveries.delivery_id = told.delivery_id
""")

# The first part of a digest may have come back before the others.
GATHERED = text("""
    UPDATE deliveries SET digest = true
    WHERE delivery_id IN (
        SELECT message_id FROM deliveries
        WHERE delivery_id = ANY(CAST(:ids AS uuid[])) AND message_id <> delivery_id
    )
""")

DELIVERED = text("""
    UPDATE deliveries SET state = 'delivered', delivered_at = told.delivered_at, ask_at = NULL
    FROM unnest(CAST(:delivery_id AS uuid[]), CAST(:delivered_at AS timestamptz[]))
        AS told (delivery_id, delivered_at)
    WHERE deliveries.delivery_id = told.delivery_id
""")

# A reply code held a space where its event holds a colon (`delivery/store/queue.py`).
FAILED = text("""
    UPDATE deliveries SET state = 'failed', reason = replace(told.detail, ':', ' '),
        attempts = told.attempts, next_attempt_at = NULL, claim = NULL, ask_at = NULL
    FROM unnest(CAST(:delivery_id AS uuid[]), CAST(:detail AS text[]), CAST(:attempts AS integer[]))
        AS told (delivery_id, detail, attempts)
    WHERE deliveries.delivery_id = told.delivery_id
""")
