"""Every metric of the kernel, declared once. Units are in the names; labels are few and bounded.

A service's additional metrics are in its own `metrics` module.
"""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter(
    "leadline_messages_total", "Events delivered, by wire type and outcome.", ["service", "type", "outcome"]
)
"""Outcomes: handled, duplicate, skipped, parked, waiting."""

BATCH_EVENTS = Histogram(
    "leadline_batch_events",
    "Events per committed batch.",
    ["service"],
    buckets=(1, 5, 20, 50, 100, 200, 500, 1000),
)
BATCH_SECONDS = Histogram("leadline_batch_seconds", "From poll to commit of one batch.", ["service"])
PUBLISHED = Counter("leadline_published_total", "Events that the broker acknowledged.", ["service"])
OUTBOX_PENDING = Gauge("leadline_outbox_pending_events", "Events not yet on the bus.", ["service"])
OUTBOX_ORPHANS = Gauge(
    "leadline_outbox_orphans",
    "Outbox positions missing from the journal; the relay skips them.",
    ["service"],
)
OUTBOX_REFUSED = Gauge(
    "leadline_outbox_refused_events",
    "Events that the broker refuses; later ones of their children wait behind them.",
    ["service"],
)
DEADLINES_RAISED = Counter("leadline_deadlines_raised_total", "Deadline states raised.", ["service", "state"])
DEAD_LETTERS = Counter("leadline_dead_letters_total", "Events set aside.", ["service", "reason"])
REPUBLISHED = Counter(
    "leadline_republished_total", "Journal events sent again because the broker had lost them.", ["service"]
)
CONSUMER_LAG = Gauge(
    "leadline_consumer_lag_events", "Events on the bus not yet handled.", ["service", "topic"]
)
AUDIT_FINDINGS = Gauge(
    "leadline_audit_findings", "Findings of the last audit, by check.", ["service", "check"]
)
AUDIT_BLIND = Gauge(
    "leadline_audit_could_not_look",
    "1 if the last audit got no answer; the findings are then those of an earlier audit.",
    ["service", "check"],
)
AUDIT_ENDED = Gauge(
    "leadline_audit_ended_timestamp_seconds",
    "When the last audit of a service ended, in real time.",
    ["service"],
)
AUDIT_SECONDS = Gauge("leadline_audit_seconds", "How long the last audit took.", ["service"])
