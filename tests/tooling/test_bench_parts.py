"""The benchmark's own arithmetic, and the events it is made of."""

import pytest

from tests.bench.backlog import backlog, firsts, message
from tests.bench.growth import _tenths
from tests.bench.limit import Call, transactions
from tests.bench.mixture import mixed
from tests.bench.percentiles import percentile

LOCALITIES = ("ely", "march", "soham")


def test_the_same_seed_makes_the_same_backlog() -> None:
    """Two runs, and two variants of one run, work on the same bytes; another seed makes others."""
    first, second, other = (list(map(message, backlog(300, LOCALITIES, seed=seed))) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_a_backlog_holds_repeated_events_and_further_referrals() -> None:
    """Without them the inbox and the rule of one open case would not be exercised."""
    referrals = list(backlog(2000, LOCALITIES))
    events = {referral.event_id for referral in referrals}
    children = {referral.child_id for referral in referrals}
    assert len(referrals) > len(events) > len(children)
    assert len(firsts(referrals)) == len(children)


def test_the_mixture_keeps_every_referral_and_its_order() -> None:
    """The events that are skipped lie between the referrals and replace none."""
    referrals = list(backlog(200, LOCALITIES))
    accepted = [one for one in mixed(referrals) if ("ce_type", b"referral.accepted.v1") in one[2]]
    assert accepted == list(map(message, referrals))


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (0.0, 1.0)])
def test_a_percentile_is_a_value_that_occurred(share: float, expected: float) -> None:
    """Nearest rank: of 1 to 100 the median is 50 and p99.9 the largest."""
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_tenths_find_the_one_that_was_slow() -> None:
    """A hundred batches a second, and in the second half of the time fifty."""
    batches = [(number * 0.01, 10) for number in range(51)]
    batches += [(0.5 + number * 0.02, 10) for number in range(1, 51)]
    speeds, ends = _tenths(batches, 1010)
    assert len(speeds) == len(ends) == 10
    assert speeds[0] == pytest.approx(1000)
    assert speeds[-1] == pytest.approx(500)


def test_only_what_was_committed_is_replayed() -> None:
    """A transaction that was rolled back, and what ran outside of one, is no part of the script."""
    words = ["SELECT 1", "BEGIN;", "a", "ROLLBACK;", "BEGIN;", "b", "COMMIT;"]
    script = transactions([Call("execute", word, (), {}) for word in words])
    assert [[call.query for call in one] for one in script] == [["BEGIN;", "b", "COMMIT;"]]
