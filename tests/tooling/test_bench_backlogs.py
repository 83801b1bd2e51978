"""What the benchmark lays on each service's topics, and what it expects to come of it."""

import pytest

from schemas import events as e
from schemas.topics import ASSESSMENT, PLACEMENT, REFERRAL, Topic
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.notify.pack.model import NotifyPack
from tests.bench.backlog import Referral, backlog, message
from tests.bench.backlogs import Backlog, identity, of_notify, of_placement, of_referral
from tests.bench.mixture import ACCEPTED, MONTH, mixed_for, told

TEAM_OF = {"ely": "lt-ely", "march": "lt-march"}


@pytest.fixture(scope="module")
def referrals() -> list[Referral]:
    """Enough accepted referrals for every type of event to occur."""
    return list(backlog(400, tuple(TEAM_OF)))


@pytest.fixture(scope="module")
def notify(referrals: list[Referral]) -> Backlog:
    """What the notify service reads of them."""
    return of_notify(referrals, TEAM_OF, load_pack(Settings().policy, NotifyPack))


@pytest.mark.parametrize("topic", [REFERRAL, ASSESSMENT, PLACEMENT])
def test_a_topic_carries_its_months_types_in_their_proportions(
    topic: Topic, referrals: list[Referral]
) -> None:
    """Every type of the month occurs, none that is not the topic's own, and together about as many."""
    events = [event for _, event in told(topic, referrals, team_of=TEAM_OF)]
    assert {type(event) for event in events} == MONTH[topic.name].keys() <= set(topic.events)
    expected = len(referrals) * sum(MONTH[topic.name].values()) / ACCEPTED
    assert len(events) == pytest.approx(expected, rel=0.05)


def test_every_referral_is_accepted_exactly_once_and_unchanged(referrals: list[Referral]) -> None:
    """The mixture's accepted referrals are the plain backlog's."""
    found = [
        made for made, event in told(REFERRAL, referrals, team_of={}) if isinstance(event, e.ReferralAccepted)
    ]
    assert found == list(map(message, referrals))


def test_the_number_of_referrals_for_a_feed_meets_its_size() -> None:
    """An hour at fifty events a second is 180,000 of them."""
    chosen = list(backlog(mixed_for(18_000), tuple(TEAM_OF)))
    assert len(told(REFERRAL, chosen, team_of={})) == pytest.approx(18_000, rel=0.02)


def test_different_events_have_different_identities(referrals: list[Referral]) -> None:
    """Only what was delivered twice shares one: otherwise an inbox would drop what is new."""
    once = list({referral.event_id: referral for referral in referrals}.values())
    for topic in (REFERRAL, ASSESSMENT, PLACEMENT):
        made = [identity(one) for one, _ in told(topic, once, team_of=TEAM_OF)]
        assert len(made) == len(set(made))


def test_an_agency_that_sends_a_referral_again_has_made_one() -> None:
    """A month holds both kinds of repetition: the same message, and a new one with the old number."""
    made = of_referral(8.0, tuple(TEAM_OF))
    assert len(made.expected) < len(made.inbox) < made.read


def test_placement_expects_a_closed_case_wherever_one_was_closed(referrals: list[Referral]) -> None:
    """Whatever else is known of the case."""
    made = of_placement(referrals, TEAM_OF)
    closed = {event.case_id for _, event in made.by_topic[ASSESSMENT.name] if isinstance(event, e.CaseClosed)}
    assert closed
    assert {case_id for case_id, *_, status in made.expected if status == "closed"} == closed


@pytest.mark.parametrize(
    ("event_class", "kind", "alerts"),
    [
        (e.ReferralReceived, None, True),
        (e.DeadlineScheduled, "assessment", False),
        (e.DeadlineOverdue, "triage_decision", True),
        (e.DeadlineOverdue, "exit_interview", False),
        (e.DeadlineWaived, "placement_review_first", True),
    ],
)
def test_notify_expects_an_alert_exactly_where_the_pack_names_somebody(
    notify: Backlog, event_class: type[e.Event], kind: str | None, *, alerts: bool
) -> None:
    """An entry for one kind of deadline, alerting or silent, wins over the one for all kinds."""
    causes = {row[0] for row in notify.expected}
    found = [
        identity(made) in causes
        for told_of in notify.by_topic.values()
        for made, event in told_of
        if type(event) is event_class and getattr(event, "kind", None) == kind
    ]
    assert found
    assert set(found) == {alerts}
