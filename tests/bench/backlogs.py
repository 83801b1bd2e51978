"""A backlog for each service but assessment, from the simulated county, and what must come of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from schemas import events as e
from schemas.events import Event
from schemas.topics import ASSESSMENT, DEADLINES, PARTNER, PLACEMENT, REFERRAL
from services.county.partner_bus import message_of
from services.county.plan import county_month
from services.kernel.messages.envelope import message_id
from services.notify.handlers import HANDLERS as NOTIFY_HANDLERS
from services.notify.pack.model import NotifyPack
from services.placement.handlers import HANDLERS as PLACEMENT_HANDLERS
from services.referral.handlers import HANDLERS as REFERRAL_HANDLERS
from tests.bench.backlog import START, Message, Referral
from tests.bench.mixture import told

DAYS = 30

Told = Sequence[tuple[Message, Event]]
"""Kafka records with the events in them."""

REFERRALS = {
    "referrals": """
        SELECT count(*) FROM expected AS e FULL JOIN referrals AS r USING (agency_id, agency_reference)
        WHERE (e.child_id, e.locality, 'received', 1)
            IS DISTINCT FROM (r.child_id, r.locality, r.status, r.version)
    """,
    "journal: referral.received": """
        SELECT count(*) FROM referrals AS r
        FULL JOIN (SELECT * FROM journal WHERE type = 'referral.received.v1') AS j
            ON j.subject = r.referral_id
        WHERE (r.child_id, 1, r.agency_reference)
            IS DISTINCT FROM (j.key, j.sequence, j.data ->> 'agency_reference')
    """,
    "journal: deadline.scheduled": """
        SELECT count(*) FROM referrals AS r
        FULL JOIN (SELECT * FROM journal WHERE type = 'deadline.scheduled.v1') AS j
            ON j.data ->> 'about' = r.referral_id::text
        WHERE (r.child_id, 1) IS DISTINCT FROM (j.key, j.sequence)
    """,
    "journal: nothing else": "SELECT (SELECT count(*) FROM journal) - 2 * (SELECT count(*) FROM expected)",
}
CASES = {
    "known cases": """
        SELECT count(*) FROM expected AS e FULL JOIN known_cases AS k USING (case_id)
        WHERE (e.child_id, e.level, e.status) IS DISTINCT FROM (k.child_id, k.level, k.status)
    """,
    "journal: nothing": "SELECT count(*) FROM journal",
}
ALERTS = {
    "what alerts somebody": """
        SELECT count(*) FROM (SELECT DISTINCT message_id FROM expected) AS e
        FULL JOIN (
            SELECT DISTINCT causation_id FROM journal WHERE type IN ('alert.raised.v2', 'alert.repeated.v1')
        ) AS j ON j.causation_id = e.message_id
        WHERE e.message_id IS NULL OR j.causation_id IS NULL
    """,
    "nobody is told twice of one cause": """
        SELECT count(*) - count(DISTINCT (causation_id, data ->> 'recipient_id')) FROM journal
        WHERE type = 'alert.raised.v2'
    """,
    "alerts": """
        SELECT count(*) FROM alerts AS a FULL JOIN (
            SELECT subject, key, count(*) AS events, max(sequence) AS last FROM journal GROUP BY subject, key
        ) AS j ON j.subject = a.alert_id
        WHERE (a.child_id, a.status, a.version, a.version) IS DISTINCT FROM (j.key, 'open', j.events, j.last)
    """,
    "alerts are with whom they were given to last": """
        SELECT count(*) FROM alerts AS a CROSS JOIN LATERAL (
            SELECT coalesce(data ->> 'to_id', data ->> 'recipient_id') AS who FROM journal
            WHERE subject = a.alert_id AND type IN ('alert.raised.v2', 'alert.reassigned.v1')
            ORDER BY sequence DESC LIMIT 1
        ) AS j WHERE a.recipient_id <> j.who
    """,
    "journal: nothing else": """
        SELECT count(*) FROM journal
        WHERE type NOT IN
            ('alert.raised.v2', 'alert.repeated.v1', 'alert.reassigned.v1', 'alert.settled.v1')
    """,
}


@dataclass(frozen=True)
class Backlog:
    """What lies on a service's topics, and how to recount what the service has made of it."""

    service: str
    by_topic: Mapping[str, Told]
    handles: frozenset[type[Event]]
    columns: str
    """Of the table `expected`."""
    expected: Sequence[tuple[Any, ...]]
    checks: Mapping[str, str]
    """By what is compared: a query for how many rows disagree with `expected`."""

    @property
    def read(self) -> int:
        """Return how many events lie there."""
        return sum(map(len, self.by_topic.values()))

    @cached_property
    def inbox(self) -> set[UUID]:
        """Return the messages that must have had an effect: each once, however often it was delivered."""
        return {
            identity(message)
            for told_of in self.by_topic.values()
            for message, event in told_of
            if type(event) in self.handles
        }


def of_referral(scale: float, localities: Sequence[str], *, seed: int = 42) -> Backlog:
    """Return a month of what the agencies of a county of this scale send, all of it over the bus.

    An agency that sends a referral again, as the same message or as a new one, has made one referral.
    """
    steps = county_month(seed, START, DAYS, scale, localities=localities)
    made = {
        (step.referral.agency_id, step.referral.agency_reference): step.referral for step in reversed(steps)
    }
    return Backlog(
        "referral",
        {PARTNER.name: [(message_of(step), step.referral) for step in steps]},
        frozenset(REFERRAL_HANDLERS),
        "agency_id text, agency_reference text, child_id uuid, locality text",
        [(*key, referral.child_id, referral.locality) for key, referral in made.items()],
        REFERRALS,
    )


def of_placement(referrals: Sequence[Referral], team_of: Mapping[str, str]) -> Backlog:
    """Return what placement reads of a county's month: cases, and its own events. It publishes nothing:
    its events come of what people ask of it, and of deadlines."""
    by_topic = {topic.name: told(topic, referrals, team_of=team_of) for topic in (ASSESSMENT, PLACEMENT)}
    cases: dict[UUID, tuple[UUID, int | None, str]] = {}
    for _, event in by_topic[ASSESSMENT.name]:
        if isinstance(event, e.ThresholdMet | e.PlanReviewed | e.CaseClosed):
            _, level, status = cases.get(event.case_id, (None, None, "open"))
            closed = isinstance(event, e.CaseClosed)
            cases[event.case_id] = (
                event.child_id,
                level if isinstance(event, e.CaseClosed) else event.level,
                "closed" if closed else status,
            )
    return Backlog(
        "placement",
        by_topic,
        frozenset(PLACEMENT_HANDLERS),
        "case_id uuid, child_id uuid, level smallint, status text",
        [(case_id, *facts) for case_id, facts in cases.items()],
        CASES,
    )


def of_notify(referrals: Sequence[Referral], team_of: Mapping[str, str], pack: NotifyPack) -> Backlog:
    """Return what all services publish in a county's month. Every event that the pack names alerts somebody;
    whom, depends on what else has been read by then, so that the recount does not ask."""
    topics = (REFERRAL, ASSESSMENT, PLACEMENT)
    by_topic = {topic.name: told(topic, referrals, team_of=team_of) for topic in topics}
    causes = {
        identity(message)
        for told_of in by_topic.values()
        for message, event in told_of
        if _alerts(event, {rule.on for rule in pack.alerts}, set(pack.silent))
    }
    return Backlog(
        "notify",
        by_topic,
        frozenset(NOTIFY_HANDLERS),
        "message_id uuid",
        [(cause,) for cause in causes],
        ALERTS,
    )


def _alerts(event: Event, alerting: Iterable[str], silent: Iterable[str]) -> bool:
    """Return whether the pack tells somebody of an event; the entry for exactly one kind wins."""
    if not isinstance(event, DEADLINES):
        return event.name in alerting
    exactly = f"{event.name}:{event.kind}"  # type: ignore[attr-defined]  # every deadline's event has a kind
    return exactly in alerting or (exactly not in silent and f"{event.name}:*" in alerting)


def identity(message: Message) -> UUID:
    """Return the inbox's key of a Kafka record."""
    headers = dict(message[2])
    return message_id(headers["ce_source"].decode(), headers["ce_id"].decode())
