"""What a restored store does about each event that it no longer knows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from services.kernel.messages.arrivals import Arrival
from services.kernel.messages.faults import InvalidMessage
from services.kernel.messages.record import Record
from services.kernel.rejoin.plan import Horizon, Incoming, Learn, Own, Redo, Step, TakeBack, headless, plan
from services.kernel.store.journal import JournalEntry
from tests.builders import alert_acknowledged

IDS = UUID("0f0e0d0c-0000-4000-8000-000000000000")
NOON = datetime(2026, 9, 7, 12, tzinfo=UTC)


def an_id(name: str) -> UUID:
    return uuid5(IDS, name)


def own(
    name: str, *, cause: str, minute: int = 0, subject: str = "case", sequence: int = 1, published: int = 0
) -> Own:
    """One event of ours that the store has lost."""
    entry = JournalEntry(an_id(name), "t", an_id(subject), sequence, an_id("child"), IDS, an_id(cause), "{}")
    return Own(entry, NOON + timedelta(minutes=minute), alert_acknowledged(), published)


def message(
    name: str,
    *,
    minute: int = 0,
    topic: str = "referral-events",
    acknowledged: bool = True,
    faulty: bool = False,
    partner: bool = False,
    published: int = 0,
) -> Incoming:
    """One message of others that the store has lost."""
    record = Record(topic, 0, minute, b"child", b"{}", ())
    arrival = Arrival(
        record,
        an_id(name),
        IDS,
        "t",
        event=None if faulty else alert_acknowledged(),
        fault=InvalidMessage("malformed", "it is") if faulty else None,
    )
    return Incoming(arrival, NOON + timedelta(minutes=minute), published, acknowledged, partner)


def named(steps: Sequence[Step]) -> list[tuple[str, UUID]]:
    """Return each step by its kind, and the message or the first cause that it is about."""
    return [
        ("take back", step.events[0].entry.causation_id)
        if isinstance(step, TakeBack)
        else (type(step).__name__.lower(), step.incoming.arrival.message_id)
        for step in steps
    ]


def test_a_message_is_redone_with_what_it_led_to() -> None:
    """All events of one cause in one step, in their order."""
    events = [own("a", cause="m"), own("b", cause="m", sequence=2)]
    accepted = message("m")
    made = plan(events, [accepted])
    assert made.steps == [Redo(accepted, tuple(events))]
    assert made.deliver == []


def test_what_a_person_or_the_time_has_caused_is_taken_back_alone() -> None:
    """There is no message to go with it."""
    assert named(plan([own("a", cause="request")], []).steps) == [("take back", an_id("request"))]


def test_what_stands_before_a_message_with_an_outcome_had_none() -> None:
    """One topic is handled in order, and a child's events are published in order."""
    made = plan([own("a", cause="second")], [message("first"), message("second", minute=1)])
    assert named(made.steps) == [("learn", an_id("first")), ("redo", an_id("second"))]
    assert made.deliver == []


def test_what_was_never_handled_is_delivered() -> None:
    """Nothing of this child was published after it: its outcome may be lost, or never have been."""
    unread = message("unread", minute=5)
    assert plan([own("a", cause="request", minute=1)], [unread]).deliver == [unread]
    assert plan([], [unread]).deliver == [unread]


def test_what_was_handled_before_the_last_own_event_had_no_outcome() -> None:
    """A referral that found an open case opens no other one now that this case is closed."""
    made = plan([own("closed", cause="request", minute=9)], [message("dropped", minute=1)])
    assert named(made.steps) == [("take back", an_id("request")), ("learn", an_id("dropped"))]
    assert made.deliver == []


def test_within_one_moment_the_publishing_counts() -> None:
    """A clock that stands still tells nothing of what was first."""
    events = [own("closed", cause="request", published=7)]
    assert plan(events, [message("before", published=6)]).deliver == []
    assert len(plan(events, [message("after", published=8)]).deliver) == 1


def test_a_message_that_was_never_acknowledged_is_delivered() -> None:
    """The service may not have read it, whatever people did meanwhile."""
    events = [own("closed", cause="request", minute=9)]
    assert len(plan(events, [message("unread", minute=1, acknowledged=False)]).deliver) == 1


def test_what_may_wait_behind_a_parked_event_is_delivered_again() -> None:
    """It waits again, until a person settles what is before it."""
    events = [own("closed", cause="request", minute=9)]
    assert len(plan(events, [message("behind", minute=1)], held_up=True).deliver) == 1


def test_what_cannot_be_read_is_delivered_and_so_parked() -> None:
    """It teaches nothing, wherever it stands."""
    faulty = message("faulty", faulty=True)
    made = plan([own("a", cause="good", minute=9)], [faulty, message("good", minute=1)])
    assert made.deliver == [faulty]
    assert named(made.steps) == [("redo", an_id("good"))]


def test_a_message_whose_outcome_has_left_the_bus_is_not_delivered_again() -> None:
    """Older than what the own topic still holds; a partner's own time says nothing about that."""
    horizon = Horizon(NOON, 1000)
    old, new = message("old", minute=-1, published=2000), message("new", minute=1)
    made = plan([], [old, new], horizon=horizon)
    assert (named(made.steps), made.deliver) == ([("learn", an_id("old"))], [new])
    late = message("late", minute=-1, published=2000, partner=True)
    assert plan([], [late], horizon=horizon).deliver == [late]
    assert plan([], [late], horizon=Horizon(None, 3000)).deliver == []


def test_a_message_whose_outcome_cannot_be_taken_back_is_not_delivered_again() -> None:
    """Its events are known to others: it only teaches."""
    cut = message("cut")
    made = plan([], [cut], answered=frozenset({an_id("cut")}))
    assert made.steps == [Learn(cut)]


def test_a_history_with_a_gap_is_named() -> None:
    """The journal's own events count; a gap in the middle is one, too."""
    whole = [
        own("a", cause="x", subject="whole", sequence=3),
        own("b", cause="x", subject="whole", sequence=4),
    ]
    cut = [own("c", cause="x", subject="cut", sequence=2)]
    torn = [own("d", cause="x", subject="torn"), own("e", cause="x", subject="torn", sequence=3)]
    assert headless([*whole, *cut, *torn], {an_id("whole"): 2}) == {an_id("cut"), an_id("torn")}


def test_what_rests_on_a_history_that_is_left_out_is_left_out_with_it() -> None:
    """Unless the journal has the beginning of that history: then it is there to rest on."""
    torn = [own("a", cause="x", subject="torn"), own("b", cause="x", subject="torn", sequence=3)]
    behind = own("c", cause="x", subject="known", sequence=4)
    resting = {"on torn": "torn", "on known": "known", "on nothing": "never heard of", "by itself": None}
    events = [*torn, behind, *(own(name, cause="x", subject=name) for name in resting)]
    rests_on = {
        one.entry.subject: an_id(other) if other else None
        for one, other in zip(events[3:], resting.values(), strict=True)
    }
    of_event = {id(one.event): rests_on.get(one.entry.subject) for one in events}
    cut = headless(events, {an_id("known"): 2}, rests_on=lambda event: of_event[id(event)])
    assert cut == {an_id(name) for name in ("torn", "known", "on torn", "on nothing")}
