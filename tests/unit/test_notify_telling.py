"""On which channels an alert leaves the inbox, and when."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.events import NotificationQueued
from schemas.events.codes import Channel, Role, Urgency
from services.kernel.deadlines.calendar import LONDON
from services.kernel.messages.faults import Refused
from services.notify.alerts.council import Council
from services.notify.delivery.model import Delivery, decide_proof, decide_withdrawal, evolve
from services.notify.delivery.policy import check_preference, decide_deliveries
from services.notify.preferences.model import (
    Arrangements,
    Choice,
    ChoosePreference,
    QuietHours,
    Subscription,
    widening,
)
from tests.builders import CASE, CHILD, DUTY, LEAD, OTHER, alert_acknowledged, alert_reassigned
from tests.unit.notify_cases import NOW, PACK, arranged, at, council, fact, rule_for, with_rules

NIGHT = datetime(2026, 9, 7, 22, 0, tzinfo=LONDON).astimezone(UTC)
MORNING = datetime(2026, 9, 8, 7, 30, tzinfo=LONDON).astimezone(UTC)
DIGEST = datetime(2026, 9, 8, 8, 30, tzinfo=LONDON).astimezone(UTC)
EMAIL, SMS, WEBHOOK, CHAT = Channel.EMAIL, Channel.SMS, Channel.WEBHOOK, Channel.CHAT


def sent(under: Council | None = None, moment: datetime = NOW, **changes: Any) -> list[NotificationQueued]:
    """The deliveries of an alert."""
    return decide_deliveries(fact(**changes), council=under or council(), context=at(moment))


def channels(under: Council | None = None, **changes: Any) -> list[Channel]:
    return [queued.channel for queued in sent(under, **changes)]


def prefers(choice: str, kind: str = "*", channel: Channel = EMAIL, worker: str = LEAD) -> Council:
    return council(arranged(preferences={(worker, kind, channel.value): choice}))


@pytest.mark.parametrize(
    ("urgency", "expected"),
    [(Urgency.URGENT, [EMAIL, SMS]), (Urgency.SOON, [EMAIL]), (Urgency.ROUTINE, [])],
)
def test_urgency_decides_on_the_channels(urgency: Urgency, expected: list[Channel]) -> None:
    """As the pack has it: what is routine waits in the inbox."""
    assert channels(urgency=urgency) == expected


def test_nothing_is_queued_on_a_channel_that_is_not_there() -> None:
    """A mail server that is added after weeks floods nobody."""
    assert channels(Council(PACK), urgency=Urgency.URGENT) == []
    assert channels(Council(PACK, Arrangements(), frozenset({SMS})), urgency=Urgency.URGENT) == [SMS]


def test_rule_may_name_its_own_channels() -> None:
    """They replace those of its urgency; no channel at all is a choice, too."""
    rule = rule_for("deadline.due_soon:*")
    for named in ((), (SMS,), (EMAIL, SMS)):
        pack = with_rules(rule.model_copy(update={"channels": named}))
        assert channels(council(pack=pack)) == list(named)


def test_texts_go_to_people_and_not_to_shared_inboxes() -> None:
    """A duty inbox has an address for mail and no telephone."""
    assert channels(urgency=Urgency.URGENT, recipient_id=DUTY, role=Role.DUTY_INBOX) == [EMAIL]


def test_somebody_may_switch_a_channel_off_for_what_is_not_urgent() -> None:
    """For one kind, for a deadline's state, or for all; the narrowest choice counts."""
    assert channels(prefers("off")) == []
    assert channels(prefers("off", "deadline.due_soon:*")) == []
    assert channels(prefers("off", "deadline.due_soon:plan_review")) == []
    assert channels(prefers("off", "plan.reviewed")) == [EMAIL]
    assert channels(prefers("off", worker=OTHER)) == [EMAIL]
    narrow = {(LEAD, "*", "email"): "off", (LEAD, "deadline.due_soon:plan_review", "email"): "at_once"}
    assert channels(council(arranged(preferences=narrow))) == [EMAIL]


@pytest.mark.parametrize("choice", ["off", "digest"])
@pytest.mark.parametrize("moment", [NOW, NIGHT])
def test_urgent_alerts_come_at_once_whatever_was_chosen_and_whatever_the_hour(
    choice: str, moment: datetime
) -> None:
    """Safeguarding cannot be switched off."""
    queued = sent(prefers(choice), moment, urgency=Urgency.URGENT)
    assert [(each.channel, each.held_until, each.digest) for each in queued] == [
        (EMAIL, None, False),
        (SMS, None, False),
    ]


def test_somebody_may_ask_for_more_than_the_pack_gives() -> None:
    """Routine news in a digest, texts also for what is not urgent."""
    (queued,) = sent(prefers("digest"), urgency=Urgency.ROUTINE)
    assert (queued.channel, queued.digest, queued.held_until) == (EMAIL, True, DIGEST)
    assert channels(prefers("at_once", channel=SMS)) == [EMAIL, SMS]


def test_quiet_hours_hold_until_they_end() -> None:
    """The council's, unless somebody has chosen others."""
    (queued,) = sent(moment=NIGHT)
    assert (queued.held_until, queued.digest) == (MORNING, False)
    works_at_night = QuietHours(time(8), time(16), "daily", time(17))
    chosen = council(arranged(quiet={LEAD: works_at_night}))
    assert sent(chosen, NIGHT)[0].held_until is None
    assert sent(chosen)[0].held_until == datetime(2026, 9, 7, 16, tzinfo=LONDON)


def test_shared_inboxes_have_no_quiet_hours() -> None:
    """Somebody watches them at night."""
    assert sent(moment=NIGHT, recipient_id=DUTY, role=Role.DUTY_INBOX)[0].held_until is None


@pytest.mark.parametrize(
    ("digest", "friday", "due"),
    [("working_day", 11, datetime(2026, 9, 14, 8, 30)), ("daily", 11, datetime(2026, 9, 12, 8, 30))],  # noqa: DTZ001 - London is put in below
)
def test_digest_comes_daily_or_at_the_start_of_the_working_day(
    digest: str, friday: int, due: datetime
) -> None:
    """As somebody has chosen."""
    moment = datetime(2026, 9, friday, 12, tzinfo=LONDON).astimezone(UTC)
    hours = QuietHours(time(19), time(7), digest, time(8, 30))  # type: ignore[arg-type]
    preferences = {(LEAD, "*", "email"): "digest"}
    under = council(arranged(preferences=preferences, quiet={LEAD: hours}))
    (queued,) = sent(under, moment)
    assert (queued.held_until, queued.digest) == (due.replace(tzinfo=LONDON), True)


def test_many_alerts_that_move_at_once_wait_for_the_digest_unless_urgent() -> None:
    """Who takes over a caseload gets one message, and at once what cannot wait."""
    for urgency, held in ((Urgency.SOON, DIGEST), (Urgency.URGENT, None)):
        moved = decide_deliveries(fact(urgency=urgency), council=council(), context=at(), gather=True)
        assert {each.held_until for each in moved} == {held}


def subscribed(owner: str, *kinds: str, channel: Channel = WEBHOOK) -> Council:
    subscription = Subscription(UUID(int=900), owner, channel, kinds or ("*",))
    return council(arranged(subscriptions={owner: (subscription,)}))


def test_agency_that_subscribed_hears_of_its_own_referrals_by_webhook() -> None:
    """What it is told, and nothing else."""
    mine: dict[str, Any] = {"recipient_id": "school-1", "role": Role.REFERRER, "urgency": Urgency.ROUTINE}
    (queued,) = sent(subscribed("school-1"), **mine)
    assert (queued.channel, queued.subscription_id) == (WEBHOOK, UUID(int=900))
    assert channels(subscribed("school-2"), **mine) == []
    assert channels(subscribed("school-1", "case.closed"), **mine) == []
    assert channels(subscribed("school-1", "deadline.due_soon:*"), **mine) == [WEBHOOK]


def test_team_that_subscribed_hears_what_its_duty_inbox_is_told() -> None:
    """Once for each cause: not again for the lead and the manager."""
    team = subscribed("lt-ely", channel=CHAT)
    assert CHAT in channels(team, recipient_id=DUTY, role=Role.DUTY_INBOX)
    assert CHAT not in channels(team)
    assert CHAT not in channels(team, recipient_id=DUTY, role=Role.DUTY_INBOX, team="lt-march")


def test_deciding_twice_makes_the_same_deliveries_and_a_reminder_another() -> None:
    """The id is the key of idempotence: alert, recipient, channel, subscription and step."""
    first, second = sent(urgency=Urgency.URGENT), sent(urgency=Urgency.URGENT)
    assert first == second
    reminder = decide_deliveries(
        fact(urgency=Urgency.URGENT), council=council(), context=at(), turn=1, template="reminder"
    )
    someone_else = sent(urgency=Urgency.URGENT, recipient_id=OTHER)
    ids = [each.delivery_id for each in (*first, *reminder, *someone_else)]
    assert len(set(ids)) == len(ids) == 6
    assert {each.template for each in reminder} == {"reminder"}


@pytest.mark.parametrize("choice", ["off", "digest"])
@pytest.mark.parametrize(
    "kind", ["deadline.overdue:assessment", "deadline.overdue:*", "deadline.due:*", "exit_interview.overdue"]
)
def test_what_can_be_urgent_cannot_be_switched_off(choice: Choice, kind: str) -> None:
    """The refusal says why."""
    command = ChoosePreference(worker_id=LEAD, kind=kind, channel=EMAIL, choice=choice)
    with pytest.raises(Refused, match="urgent alerts always come at once"):
        check_preference(command, council=council())


@pytest.mark.parametrize(
    ("kind", "choice"),
    [("*", "off"), ("plan.reviewed", "off"), ("deadline.due_soon:*", "digest"), ("deadline.overdue:*", None)],
)
def test_everything_else_is_ones_own_choice(kind: str, choice: Choice | None) -> None:
    """`*` is allowed: it does not reach what is urgent. So is taking a choice back."""
    command = ChoosePreference(worker_id=LEAD, kind=kind, channel=EMAIL, choice=choice)
    check_preference(command, council=council())


def test_preference_for_a_partners_channel_or_by_a_stranger_is_refused() -> None:
    """Webhooks are not one person's own, and whoever is not in the pack chooses nothing."""
    with pytest.raises(Refused, match="choose email or sms"):
        check_preference(
            ChoosePreference(worker_id=LEAD, kind="*", channel=WEBHOOK, choice="off"), council=council()
        )
    with pytest.raises(Refused, match="knows no practitioner W-9999"):
        check_preference(
            ChoosePreference(worker_id="W-9999", kind="*", channel=EMAIL, choice="off"), council=council()
        )


def test_kinds_widen_from_themselves_to_all() -> None:
    """A choice for a deadline's state includes each of its kinds."""
    assert widening("deadline.due:assessment") == ("deadline.due:assessment", "deadline.due:*", "*")
    assert widening("plan.reviewed") == ("plan.reviewed", "*")


SEEN, MOVED = alert_acknowledged(at=NOW + timedelta(hours=1)), alert_reassigned(at=NOW)


def delivery(state: str, *, gathered: bool = False) -> Delivery:
    return Delivery(
        UUID(int=500),
        1,
        state,  # type: ignore[arg-type]
        None,
        fact().alert_id,
        CHILD,
        CASE,
        EMAIL,
        gathered,
    )


@pytest.mark.parametrize(
    ("state", "needless", "after"),
    [
        ("queued", True, "not_needed"),
        ("held", True, "not_needed"),
        ("sent", False, "sent"),
        ("delivered", False, "delivered"),
    ],
)
def test_alert_that_was_seen_needs_no_message_and_proves_the_one_that_went(
    state: str, needless: bool, after: str
) -> None:
    """Acknowledging ends what waits, and joins what was sent to what it led to; once."""
    (proof,) = decide_proof([delivery(state)], SEEN)
    seen = evolve(delivery(state), proof)
    assert proof.needless is needless
    assert (seen.state, seen.acknowledged_at, seen.version) == (after, SEEN.acknowledged_at, 2)
    assert decide_proof([seen], SEEN) == []


@pytest.mark.parametrize("state", ["failed", "not_needed"])
def test_message_that_never_went_proves_nothing(state: str) -> None:
    """Its alert was seen in the inbox."""
    assert decide_proof([delivery(state)], SEEN) == []


def test_digest_that_is_gathered_goes_out_as_it_is() -> None:
    """Taking one part out could take the message from all the others."""
    assert decide_proof([delivery("queued", gathered=True)], SEEN) == []
    assert decide_withdrawal([delivery("queued", gathered=True)], MOVED) == []


@pytest.mark.parametrize(("state", "withdrawn"), [("queued", 1), ("held", 1), ("sent", 0), ("failed", 0)])
def test_what_waits_for_somebody_who_no_longer_answers_is_not_sent(state: str, withdrawn: int) -> None:
    """The case is another one's now."""
    events = decide_withdrawal([delivery(state)], MOVED)
    assert len(events) == withdrawn
    for event in events:
        after = evolve(delivery(state), event)
        assert (after.state, after.reason) == ("not_needed", "reassigned")
