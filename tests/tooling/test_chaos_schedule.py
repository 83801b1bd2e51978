"""Faults and feed of `make chaos` are functions of the seed: a run that failed can be had again."""

from itertools import islice, pairwise

import pytest

from tests.chaos import at_work, feed
from tests.chaos.choice import SECONDS, choose
from tests.chaos.nemeses import ROTATION
from tests.chaos.run import ACTS
from tests.chaos.schedule import STORMS, SWIFT, Fault, Storm, schedule

NEMESES = ("process_killed", "broker_paused", "postgres_killed")


def turns(seed: int, *, count: int = 60) -> list[Fault]:
    """The first faults of a rotation."""
    return list(islice(schedule(seed, nemeses=NEMESES), count))


def test_one_seed_gives_one_schedule_and_one_feed() -> None:
    """Nothing but the seed decides."""
    first, again = (turns(7) for _ in range(2))
    assert first == again
    assert first != turns(8)
    assert feed.plan(7, per_second=50, seconds=4) == feed.plan(7, per_second=50, seconds=4)
    assert feed.plan(7, per_second=50, seconds=4) != feed.plan(8, per_second=50, seconds=4)


def test_every_nemesis_has_its_turn_before_one_comes_again() -> None:
    """A short run has met as many kinds of fault as it can; what strikes in between is nobody's turn."""
    taken = [fault.nemesis for fault in turns(7) if not fault.overlapped]
    for begin in range(0, len(taken) - len(NEMESES), len(NEMESES)):
        assert set(taken[begin : begin + len(NEMESES)]) == set(NEMESES)


def test_some_faults_come_before_another_is_overcome() -> None:
    """Many a turn finds a system that one or two of the swift have just struck, none itself twice."""
    faults = turns(7, count=600)
    pairs = [(one, other) for one, other in pairwise(faults) if one.overlapped]
    assert 0.3 < len(pairs) / len(faults) < 0.65
    assert {one.nemesis for one, _ in pairs} <= set(SWIFT)
    assert all(one.nemesis != other.nemesis for one, other in pairs)
    overlapped = [fault.overlapped for fault in faults]
    assert not any(all(three) for three in zip(overlapped, overlapped[1:], overlapped[2:], strict=False))


def test_a_nemesis_alone_strikes_again_and_again() -> None:
    """As when one is looked into; a swift one does not overlap itself."""
    faults = list(islice(schedule(7, nemeses=("process_killed",)), 20))
    assert {(fault.nemesis, fault.overlapped) for fault in faults} == {("process_killed", False)}


def test_turns_of_nobody_are_refused() -> None:
    """They would never begin."""
    with pytest.raises(ValueError, match="no nemesis"):
        next(schedule(7, nemeses=()))


@pytest.mark.parametrize(
    ("storm", "nemesis", "enough"), [("kill", "worker_killed", 110), ("deploy", "worker_stopped", 200)]
)
def test_storms_have_one_nemesis_and_enough_faults_for_their_bars(
    storm: Storm, nemesis: str, enough: int
) -> None:
    """110 kills, 200 exits, within the time that a storm takes unless told otherwise."""
    faults = list(islice(schedule(7, nemeses=NEMESES, storm=storm), enough))
    assert {fault.nemesis for fault in faults} == {nemesis}
    assert sum(fault.pause for fault in faults) < SECONDS[storm]


def test_every_fault_has_somebody_who_brings_it_about() -> None:
    """Those that take turns, the swift and those of storms."""
    assert {nemesis for nemesis, _ in STORMS.values()} | set(ROTATION) <= set(ACTS)
    assert set(SWIFT) <= set(ROTATION)


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


def test_a_storm_has_the_length_and_the_load_that_its_bars_name() -> None:
    """Without a word, 180 seconds of kills under 1,000 events a second."""
    kill = choose(["--storm", "kill"])
    assert (kill.seconds, kill.per_second) == (180, 1000)
    assert (choose([]).seconds, choose([]).per_second) == (120, 200)


def test_some_nemeses_can_be_chosen_and_the_run_be_had_again() -> None:
    """The command that the report prints is the one that was given."""
    choice = choose(["--seconds", "60", "--seed", "3", "--only", "broker_killed,backends_killed"])
    assert choice.nemeses == ("broker_killed", "backends_killed")
    assert choice.command == "make chaos SECONDS=60 SEED=3 RATE=200 ONLY=broker_killed,backends_killed"
    assert choose([]).nemeses == tuple(ROTATION)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "0"], "not positive"),
        (["--only", "broker_kiled"], "there is no such nemesis"),
        (["--only", "broker_killed", "--storm", "kill"], "leave out"),
    ],
)
def test_what_would_prove_nothing_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of no seconds, a nemesis that is not there, a storm that is none."""
    with pytest.raises(SystemExit):
        choose(arguments)
    assert words in capsys.readouterr().err


def test_workers_are_counted_in_storms_alone() -> None:
    """Nobody else looks at what they count."""
    assert at_work.INSIDE in choose(["--storm", "deploy"]).put_inside
    assert at_work.INSIDE not in choose([]).put_inside
