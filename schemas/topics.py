"""Every Kafka topic, declared once. `leadline topics apply` creates them; nothing else does."""

from dataclasses import dataclass, field

from schemas import events as e
from schemas.events.base import Event

DAY_MS = 24 * 60 * 60 * 1000

LARGEST_EVENT_BYTES = 256 * 1024
"""The largest event that a service publishes, and the largest that one takes unless its settings say so. A
quarter of what the broker lets through: headers and keys find room, and no reader parks what we publish."""

DEADLINES: tuple[type[Event], ...] = (
    e.DeadlineScheduled,
    e.DeadlineDueSoon,
    e.DeadlineDue,
    e.DeadlineOverdue,
    e.DeadlineMet,
    e.DeadlinePaused,
    e.DeadlineExtended,
    e.DeadlineWaived,
)

ALERTS: tuple[type[Event], ...] = (
    e.AlertRaised,
    e.AlertRepeated,
    e.AlertReassigned,
    e.AlertSnoozed,
    e.AlertSettled,
    e.AlertAcknowledged,
)
NOTIFICATIONS: tuple[type[Event], ...] = (
    e.NotificationQueued,
    e.NotificationSent,
    e.NotificationDelivered,
    e.NotificationFailed,
    e.NotificationWithdrawn,
    e.NotificationAcknowledged,
    e.NotificationEscalated,
)


@dataclass(frozen=True)
class Topic:
    """One topic: who writes it, who reads it, which events it carries.

    `retention_days` bounds the bus only; journals keep events permanently. `max_message_bytes` is what the
    broker lets through; consumers park values over their own smaller limit so that the reason is recorded.
    """

    name: str
    owner: str
    readers: tuple[str, ...]
    events: tuple[type[Event], ...]
    partitions: int = 4
    retention_days: int = 30
    max_message_bytes: int = 1024 * 1024
    description: str = ""
    types: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the set of wire types."""
        object.__setattr__(self, "types", frozenset(event.wire_type for event in self.events))

    @property
    def config(self) -> dict[str, str]:
        """Return the broker's settings for this topic."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_days * DAY_MS),
            "max.message.bytes": str(self.max_message_bytes),
        }


PARTNER = Topic(
    name="partner-events",
    owner="partners",
    readers=("referral", "placement"),
    events=(
        e.ReferralMade,
        e.LookedAfterChildReported,
        e.LookedAfterEpisodeReported,
        e.LookedAfterReviewReported,
        e.MissingEpisodeReported,
    ),
    max_message_bytes=4 * 1024 * 1024,
    description="What partner agencies tell us.",
)
REFERRAL = Topic(
    name="referral-events",
    owner="referral",
    readers=("assessment", "notify"),
    events=(
        e.ReferralReceived,
        e.ReferralAccepted,
        e.ReferralRedirected,
        e.ReferralClosed,
        e.EventParked,
        *DEADLINES,
    ),
    description="Referrals and the decisions on them.",
)
ASSESSMENT = Topic(
    name="assessment-events",
    owner="assessment",
    readers=("placement", "notify"),
    events=(
        e.AssessmentStarted,
        e.LeadProfessionalAssigned,
        e.AssessmentCompleted,
        e.ThresholdMet,
        e.ThresholdNotMet,
        e.PlanReviewed,
        e.CaseClosed,
        e.EventParked,
        *DEADLINES,
    ),
    description="Cases: assessments, thresholds, plans and lead professionals.",
)
PLACEMENT = Topic(
    name="placement-events",
    owner="placement",
    readers=("placement", "notify"),
    events=(
        e.PlacementRequested,
        e.PlacementStarted,
        e.PlacementReviewed,
        e.PlacementEnded,
        e.ExitInterviewDue,
        e.ExitInterviewOverdue,
        e.ExitInterviewCompleted,
        e.LookedAfterReviewRecorded,
        e.MissingEpisodeRecorded,
        e.EventParked,
        *DEADLINES,
    ),
    description="Placements from request to exit interview, and looked-after children's history.",
)
NOTIFY = Topic(
    name="notify-events",
    owner="notify",
    readers=("notify",),
    events=(
        e.AlertRaisedV1,
        *ALERTS,
        *NOTIFICATIONS,
        e.KeyWorkerAssigned,
        e.EventParked,
    ),
    description="Alerts, and what becomes of them on their way to people.",
)

TOPICS: tuple[Topic, ...] = (PARTNER, REFERRAL, ASSESSMENT, PLACEMENT, NOTIFY)


def read_by(service: str) -> tuple[Topic, ...]:
    """Return the topics that a service reads."""
    return tuple(topic for topic in TOPICS if service in topic.readers)


def published_by(service: str) -> Topic:
    """Return the one topic that a service owns; KeyError for an unknown service."""
    for topic in TOPICS:
        if topic.owner == service:
            return topic
    raise KeyError(service)
