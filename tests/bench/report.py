"""The shape of a whole run's report: what whoever reads `latest.json` may rely on."""

from collections.abc import Mapping
from typing import Any

from tests.bench.variants import PEERS

SERVICES = ("referral", "assessment", "placement", "notify")

RATIOS = (
    "vs_best_per_event_peer",
    "vs_best_batch_peer",
    "two_workers_vs_batch_peer",
    "share_of_limit",
    "two_workers_share_of_limit",
)
"""What a run compares within itself, and with the landed run."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "pipeline": (
        "one_worker_events_s",
        "two_workers_events_s",
        "vs_best_per_event_peer",
        "vs_best_batch_peer",
        "share_of_limit",
    ),
    **{f"ratios.{name}": ("value", "low", "high") for name in RATIOS},
    **{f"peers.{peer.name}": ("events_s",) for peer in PEERS},
    "latency_ms.50": ("p50", "p99", "p999"),
    "relay_ms": ("p50", "p99"),
    "growth": (
        "at_100k_events_s",
        "at_1m_events_s",
        "rss_mb_at_100k",
        "rss_mb_at_1m",
        "due_scan_ms",
        "due_burst_per_s",
    ),
    "growth.catch_up": ("events", "start_to_first_commit_s", "caught_up_s"),
    **{
        f"cost.{service}": (
            "events_read",
            "events_handled",
            "events_published",
            "events_s",
            "events_per_cpu_second",
            "stored_bytes_per_event",
        )
        for service in SERVICES
    },
}
"""Numbers by section; a dot leads into a section of a section."""


def missing(report: Mapping[str, Any]) -> list[str]:
    """Return, with dots, every key that a whole run's report needs and that is absent or no figure.

    `consistent` must be there, too, whichever way it turned out.
    """
    absent = [] if isinstance(report.get("consistent"), bool) else ["consistent"]
    for section, names in REQUIRED.items():
        found = _section(report, section)
        absent += [f"{section}.{name}" for name in names if not _is_figure(found.get(name))]
    return absent


def _section(report: Mapping[str, Any], dotted: str) -> Mapping[str, Any]:
    found: Any = report
    for name in dotted.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
