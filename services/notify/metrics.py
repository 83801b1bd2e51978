"""The notify service's metrics beside the kernel's. Labels are few: no worker, no case."""

from prometheus_client import Counter, Gauge, Histogram

ESCALATED = Counter("leadline_alerts_escalated_total", "Escalation steps taken, by what they do.", ["to"])
ALERTS_PER_WORKER = Gauge(
    "leadline_alerts_per_worker_week",
    "Alerts of the last seven days divided by the people who had any, by kind.",
    ["kind"],
)
MOST_ALERTS_OF_A_WORKER = Gauge(
    "leadline_alerts_of_busiest_worker_week",
    "The most alerts that one person had in the last seven days, by kind.",
    ["kind"],
)
SENDINGS = Counter(
    "leadline_sendings_total", "Attempts to send a message, by channel and outcome.", ["channel", "outcome"]
)
"""Outcomes: taken, refused, later, away, not_tried."""
SENDING_SECONDS = Histogram(
    "leadline_sending_seconds", "Time from handing a message over to the provider's answer.", ["channel"]
)
SENDERS_RESTING = Gauge(
    "leadline_senders_resting", "Senders that pause because their endpoint or provider fails.", ["channel"]
)
