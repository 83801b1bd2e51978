"""A change that costs speed is told, and one that costs none is not."""

import json
from typing import Any

import pytest

from tests.bench.command import choose
from tests.bench.guard import Ratio, compare, spread
from tests.bench.landing import LANDED, NotLanded, tell, to_land
from tests.bench.report import RATIOS

REVISION = "0123456789abcdef"


def ratio(value: float, *, half: float = 0.0) -> Ratio:
    """A ratio whose rounds lay so far around it."""
    return Ratio(value, value - half, value + half)


def states(before: dict[str, Ratio], now: dict[str, Ratio], *, whole: bool = True) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in compare(before, now, whole=whole)}


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (0.94, "slower"),
        (0.96, "within the spread"),
        (1.00, "within the spread"),
        (1.04, "within the spread"),
        (1.06, "faster"),
    ],
)
def test_a_ratio_that_differs_by_more_than_the_least_spread_is_told(now: float, state: str) -> None:
    """One round has no range of its own; 5 % is what two runs of the same code differ by."""
    assert states({"r": ratio(1.0)}, {"r": ratio(now)}) == {"r": state}


@pytest.mark.parametrize("wide", ["before", "now"])
def test_rounds_that_lie_far_apart_allow_more(wide: str) -> None:
    """Whichever of the two runs was unsteady: its own range says what a difference means."""
    before, now = ratio(1.0, half=0.2 * (wide == "before")), ratio(0.85, half=0.2 * (wide == "now"))
    assert spread(before, now) == pytest.approx(0.2)
    assert states({"r": before}, {"r": now}) == {"r": "within the spread"}
    assert states({"r": before}, {"r": ratio(0.75, half=now.half)}) == {"r": "slower"}


def test_a_ratio_that_is_missing_or_new_is_named() -> None:
    """What is no longer measured is not silently fine; what is new has nothing to be compared with."""
    found = states({"old": ratio(1.0), "both": ratio(1.0)}, {"both": ratio(1.0), "new": ratio(2.0)})
    assert found == {"old": "missing", "both": "within the spread", "new": "new"}


def test_a_part_alone_misses_nothing() -> None:
    """Whoever measures one part has not lost the others."""
    assert states({"old": ratio(1.0)}, {}, whole=False) == {}


def test_a_verdict_says_before_now_and_by_how_much() -> None:
    """As it goes into the message of a landing."""
    (verdict,) = compare({"vs_peer": ratio(1.25)}, {"vs_peer": ratio(1.0)})
    assert verdict.words == "vs_peer: slower (1.25 before, 1.00 now: -20%, spread 5%)"
    (verdict,) = compare({}, {"vs_peer": ratio(1.0)})
    assert verdict.words == "vs_peer: new (1.00)"


def test_a_ratio_is_the_median_of_its_rounds_with_their_range() -> None:
    """Rounded, for a file that people read."""
    assert Ratio.of([1.0, 3.00049, 2.0]) == Ratio(2.0, 1.0, 3.0)


def report(**changes: Any) -> dict[str, Any]:
    """The report of a sound, whole, quick run."""
    machine = {
        "at": "2026-11-30T20:00:00+00:00",
        "revision": REVISION,
        "changed_files": 0,
        "processor": "a processor",
        "cores": 2,
        "memory_gb": 25.3,
        "python": "3.11.7",
        "broker": "Apache Kafka",
        "database": "PostgreSQL",
        "load_before": 0.1,
    }
    return {
        "scale": "quick",
        "consistent": True,
        "failed": {},
        "missing": [],
        "machine": machine | changes.pop("machine", {}),
        "ratios": {name: {"value": 1.0, "low": 0.9, "high": 1.1} for name in RATIOS},
        **changes,
    }


def test_what_is_landed_are_the_ratios_with_revision_and_machine() -> None:
    """And nothing that only this machine has: no absolute figures."""
    kept = to_land(report(), head=REVISION)
    assert set(kept) == {"scale", "at", "revision", "machine", "ratios"}
    assert set(kept["ratios"]) == set(RATIOS)
    assert "load_before" not in kept["machine"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": "full"}, "QUICK=1"),
        ({"consistent": False}, "disagreed"),
        ({"failed": {"limit": "no time"}}, "disagreed"),
        ({"missing": ["relay_ms.p50"]}, "disagreed"),
        ({"machine": {"revision": "another"}}, "other code"),
        ({"machine": {"changed_files": 1}}, "other code"),
    ],
)
def test_a_run_that_does_not_stand_for_its_revision_is_not_landed(
    changes: dict[str, Any], words: str
) -> None:
    """The sentence says what to do."""
    with pytest.raises(NotLanded, match=words):
        to_land(report(**changes), head=REVISION)


def landed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "landed.json"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr("tests.bench.landing.LANDED", file)


def test_a_quick_run_tells_what_got_slower(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the screen and in the report."""
    before = json.dumps(to_land(report(), head=REVISION))
    landed(tmp_path, monkeypatch, before)
    now = report(machine={"cores": 8})
    now["ratios"]["share_of_limit"] = {"value": 0.5, "low": 0.5, "high": 0.5}
    tell(now, choose(["--quick"]))
    told = capsys.readouterr().out
    assert "share_of_limit: slower (1.00 before, 0.50 now: -50%, spread 10%)" in told
    assert "SLOWER than the landed run" in told
    assert "another machine or other engines: cores" in told
    assert now["landed"]["verdicts"]["share_of_limit"] == "slower"


@pytest.mark.parametrize(
    ("given", "words"), [({}, "no run has been landed yet"), ({"scale": "full"}, "not compared")]
)
def test_without_a_landed_quick_run_nothing_is_compared(
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, Any],
    words: str,
) -> None:
    """And that is said."""
    landed(tmp_path, monkeypatch, '{"ratios": {}}')
    now = report(**given)
    tell(now, choose(["--quick"]))
    assert words in capsys.readouterr().out
    assert "landed" not in now


def test_the_file_in_the_repository_can_be_read() -> None:
    """With the ratios that the benchmark has, once a run was landed."""
    kept = json.loads(LANDED.read_text(encoding="utf-8"))
    assert set(kept["ratios"]) in (set(), set(RATIOS))
    assert kept["scale"] == "quick"


def test_landing_is_asked_for_by_a_flag() -> None:
    """It measures nothing."""
    assert choose(["--land"]).land
    assert not choose(["--quick"]).land
