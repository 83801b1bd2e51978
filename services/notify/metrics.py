"""What the notify service counts beside the kernel's metrics. Labels are few: no worker, no case."""

from prometheus_client import Counter, Gauge

ESCALATED = Counter("leadline_alerts_escalated_total", "Steps of escalation taken, by what they do.", ["to"])
ALERTS_PER_WORKER = Gauge(
    "leadline_alerts_per_worker_week",
    "Alerts of the last seven days divided by the people who had any, by kind.",
    ["kind"],
)
MOST_ALERTS_OF_A_WORKER = Gauge(
    "leadline_alerts_of_busiest_worker_week",
    "Alerts of the last seven days of whoever had most of a kind.",
    ["kind"],
)
