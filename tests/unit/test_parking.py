"""The limit on parking: what counts as our own code's failure, and how much of it is too much."""

from uuid import UUID

import pytest

from services.kernel.base.settings import Settings
from services.kernel.messages.record import Record
from services.kernel.processing.parking import (
    CHILDREN,
    LIMIT,
    OUR_TOPICS,
    OUR_TYPES,
    Failure,
    TooManyFailed,
    counts,
    failures_of,
    judge,
    numbered,
)
from services.kernel.store.dead_letters import Letter

OURS, PARTNERS = "referral-events", "partner-events"


def failed(child: int, *, error: str = "KeyError", topic: str = OURS, handled_before: int = 0) -> Failure:
    return Failure(topic, str(child).encode(), error, handled_before)


def letter(number: int, *, state: str = "parked", reason: str = "failed", topic: str = OURS) -> Letter:
    record = Record(topic, 0, number, str(number).encode(), b"{}", ())
    return Letter(UUID(int=number), state, record, UUID(int=number), "t", reason, "KeyError")  # type: ignore[arg-type]


def is_too_much(failures: list[Failure], *, handled_after: int = 0, limit: float = LIMIT) -> bool:
    try:
        judge(failures, handled_after=handled_after, limit=limit, service="assessment")
    except TooManyFailed:
        return True
    return False


def test_the_limit_counts_on_topics_of_our_own_services() -> None:
    """Whoever adds a topic has it counted; partners' topics and types are none of it."""
    assert {"referral-events", "assessment-events", "placement-events", "notify-events"} == OUR_TOPICS
    assert not any(wire_type.startswith("partner.") for wire_type in OUR_TYPES)
    assert Settings().parking_limit == LIMIT


@pytest.mark.parametrize(
    ("one", "counted"),
    [
        (letter(1), True),
        (letter(1, topic=PARTNERS), False),
        (letter(1, state="waiting", reason="waiting"), False),
        *((letter(1, reason=reason), False) for reason in ("malformed", "unknown_version", "rejected")),
    ],
    ids=lambda value: f"{value.record.topic} {value.reason}" if isinstance(value, Letter) else "",
)
def test_only_what_our_code_failed_on_counts(one: Letter, *, counted: bool) -> None:
    """A rule that rejects, a version we do not know and what waits say nothing about our code."""
    assert counts(one) is counted


def test_fewer_children_than_it_takes_are_never_too_many() -> None:
    """One child fewer, however often each fails and although nothing else was handled."""
    assert not is_too_much([failed(child) for child in range(CHILDREN - 1)] * 40)
    assert is_too_much([failed(child) for child in range(CHILDREN)])


@pytest.mark.parametrize(("handled", "too_much"), [(39, True), (40, False)])
def test_more_than_the_share_is_too_much_and_the_share_itself_is_not(handled: int, *, too_much: bool) -> None:
    """A fifth is ten of fifty, wherever between the failures the handled ones were."""
    evenly = [failed(child, handled_before=4) for child in range(CHILDREN)]  # nine gaps of four
    for failures, after in (
        (evenly, handled - 36),
        ([failed(0, handled_before=handled), *(failed(child) for child in range(1, CHILDREN))], 0),
        ([failed(child) for child in range(CHILDREN)], handled),
    ):
        assert is_too_much(failures, handled_after=after) is too_much


def test_what_was_handled_before_the_first_of_the_failures_does_not_weigh() -> None:
    """A year without a failure does not make a bad deploy better."""
    failures = [failed(child) for child in range(CHILDREN - 1)]
    assert is_too_much([*failures, failed(CHILDREN, handled_before=1_000_000), failed(CHILDREN + 1)])


def test_no_share_is_too_much_where_the_limit_is_one() -> None:
    """It switches the limit off."""
    assert not is_too_much([failed(child) for child in range(50)], limit=1.0)


def test_the_sentence_says_where_how_many_which_errors_and_what_to_do() -> None:
    """Types alone: a value of an event is nobody's business in a log."""
    failures = [failed(child, error="TypeError", topic="assessment-events") for child in range(3)]
    failures += [failed(child, handled_before=2) for child in range(3, 40)]
    with pytest.raises(TooManyFailed) as caught:
        judge(failures, handled_after=0, limit=LIMIT, service="placement")
    assert str(caught.value) == (
        "The placement worker stops: its own code failed on 10 of the last 22 events of assessment-events and"
        " referral-events (KeyError 7, TypeError 3). Roll back the deploy, then run"
        " `leadline dead-letters replay --all --service placement`."
    )


def test_a_batch_s_letters_know_what_was_handled_before_each() -> None:
    """Of our own topics; what waits or could not be read is not handled, and has no number."""
    batch = [(UUID(int=number), OURS) for number in range(1, 9)]
    batch[2] = (UUID(int=3), PARTNERS)
    letters = [letter(4), letter(5, reason="malformed"), letter(6, state="waiting"), letter(8)]
    found, after = numbered([*batch, (UUID(int=9), OURS)], letters, before=100)
    assert [(one.message_id.int, one.handled_before) for one in found] == [
        (4, 102),
        (5, None),
        (6, None),
        (8, 1),
    ]
    assert after == 1
    assert failures_of(found) == [
        Failure(OURS, b"8", "KeyError", 1),
        Failure(OURS, b"4", "KeyError", 102),
    ]
