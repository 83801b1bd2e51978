"""Faults and feed of `make chaos` are functions of the seed: a run that failed can be had again."""

from collections import Counter

import pytest

from tests.chaos import feed
from tests.chaos.choice import choose
from tests.chaos.schedule import schedule

NEMESES = ("process_killed", "broker_paused", "postgres_killed")


def test_one_seed_gives_one_schedule_and_one_feed() -> None:
    """Nothing but the seed decides."""
    first, again = (schedule(7, seconds=60, nemeses=NEMESES) for _ in range(2))
    assert first == again
    assert first != schedule(8, seconds=60, nemeses=NEMESES)
    assert feed.plan(7, per_second=50, seconds=4) == feed.plan(7, per_second=50, seconds=4)
    assert feed.plan(7, per_second=50, seconds=4) != feed.plan(8, per_second=50, seconds=4)


def test_every_nemesis_has_its_turn_before_one_comes_again() -> None:
    """A short run has met as many kinds of fault as it can."""
    faults = schedule(7, seconds=300, nemeses=NEMESES)
    for begin in range(0, len(faults) - len(NEMESES), len(NEMESES)):
        assert {fault.nemesis for fault in faults[begin : begin + len(NEMESES)]} == set(NEMESES)


def test_faults_come_in_order_and_before_the_end() -> None:
    """Each has a later moment than the one before."""
    moments = [fault.at for fault in schedule(3, seconds=60, nemeses=NEMESES)]
    assert moments == sorted(set(moments))
    assert 0 < moments[0] < moments[-1] < 60


def test_storms_have_one_nemesis_and_enough_faults_for_their_bars() -> None:
    """110 kills within 180 seconds; 200 rolling exits within the same time."""
    kills = schedule(7, seconds=180, nemeses=NEMESES, storm="kill")
    assert Counter(fault.nemesis for fault in kills).keys() == {"process_killed"}
    assert len(kills) >= 110
    stops = schedule(7, seconds=180, nemeses=NEMESES, storm="deploy")
    assert {fault.nemesis for fault in stops} == {"process_stopped"}
    assert len(stops) >= 200


def test_the_feed_has_duplicates_poison_decisions_and_disorder() -> None:
    """A tenth is sent twice, later; neighbours change places."""
    acts = feed.plan(7, per_second=200, seconds=30)
    again = [act for act in acts if act.again]
    assert 0.07 < len(again) / len(acts) < 0.12
    assert {act.kind for act in acts} == {"http", "bus", "poison"}
    assert {act.outcome for act in acts if act.kind == "http"} == {"accept", "close"}
    numbers = [act.number for act in acts if not act.again]
    assert numbers != sorted(numbers)
    first_sent = {act.number: place for place, act in reversed(list(enumerate(acts)))}
    assert all(acts[first_sent[act.number]].child_id == act.child_id for act in again)


def test_the_same_message_has_the_same_id_when_it_is_sent_again() -> None:
    """That is what makes a duplicate of it, and not a second referral."""
    act = next(act for act in feed.plan(7, per_second=200, seconds=30) if act.again and act.kind == "bus")
    key, value, headers = feed.message(act)
    original = feed.Act(act.number, act.kind, act.child_id, act.outcome)
    assert feed.message(original) == (key, value, headers)
    assert dict(headers)["ce_id"] == f"m-{act.number}".encode()
    assert key == str(act.child_id).encode()


@pytest.mark.parametrize("number", range(7))
def test_no_poison_is_a_sound_message(number: int) -> None:
    """Seven kinds, each unlike the sound message of the same number."""
    child_id = feed.plan(7, per_second=10, seconds=1)[0].child_id
    sound = feed.message(feed.Act(number, "bus", child_id))
    assert feed.message(feed.Act(number, "poison", child_id)) != sound


def test_the_command_line_names_seed_length_rate_and_storm() -> None:
    """Everything that decides a run."""
    choice = choose(["--seconds", "60", "--seed", "3", "--rate", "50", "--storm", "kill"])
    assert (choice.seconds, choice.seed, choice.per_second, choice.storm) == (60, 3, 50, "kill")


def test_a_run_of_no_seconds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It would prove nothing."""
    with pytest.raises(SystemExit):
        choose(["--seconds", "0"])
    assert "not positive" in capsys.readouterr().err
