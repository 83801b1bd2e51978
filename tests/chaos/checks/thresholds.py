"""Thresholds: each state of a deadline that is crossed alerts everybody whom it concerns.

That nobody is alerted twice is for `alerts_doubled` to see.
"""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from tests.chaos.evidence import Evidence

ROLES = {
    ("deadline.due.v1", "triage_decision"): {"duty_inbox"},
    ("deadline.overdue.v1", "triage_decision"): {"duty_inbox", "team_manager"},
}
"""Whom England's policy pack names for what this feed lets come due. It can only name people by role."""


def unalerted(evidence: Evidence) -> Iterator[str]:
    """Yield a sentence for each crossing of which somebody was not alerted."""
    told: defaultdict[tuple[UUID, str], set[str]] = defaultdict(set)
    for entry in evidence.journals.get("notify", ()):
        if entry.type == "alert.raised.v2":
            told[UUID(entry.data["about"]), entry.data["kind"]].add(entry.data["role"])
    for service, entries in evidence.journals.items():
        for entry in entries:
            kind = entry.data.get("kind")
            roles = ROLES.get((entry.type, str(kind)), set())
            alert_kind = f"{entry.type.removesuffix('.v1')}:{kind}"
            for role in roles - told[UUID(entry.data["about"]), alert_kind] if roles else ():
                yield f"{service}: {alert_kind} about {entry.data['about']} did not reach the {role}"
