"""What was found, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.say import say, table
from tests.chaos.database.play import BAR_SECONDS, Played
from tests.chaos.database.scenarios import CONTROL

HEADS = (
    "one worker, full backlog",
    "events/s",
    "spread",
    "trouble s",
    "meanwhile",
    "back after s",
    "then",
    "lost",
    "twice",
    "passed",
)


def show(played: Sequence[Played], left_out: Mapping[str, str]) -> None:
    """Print a line for each scenario, and what is wrong or missing."""
    table(f"throughput back to 95 % within {BAR_SECONDS:.0f} s of healing", HEADS, list(map(_row, played)))
    for each in played:
        for disagreement in each.recounted.disagreements:
            say(f"  {each.scenario.name}: {disagreement}")
    if any(each.scenario is CONTROL and not each.passed for each in played):
        say("  without any trouble the bar is missed, too: others use this machine, measure again alone")
    for name, why in left_out.items():
        say(f"  {name} FAILED: {why}")


def in_words(played: Played) -> str:
    """Return one scenario's outcome as a line, for whoever watches."""
    exact = "exact" if played.recounted.exact else "NOT EXACT"
    return f"{played.scenario.name}: seconds until it was back: {_back(played)}; {exact}"


def _back(played: Played) -> str:
    if played.recovery is not None:
        return f"{played.recovery.seconds:.1f}"
    return "backlog too short" if played.too_short else f"more than {played.watched_seconds:.1f}"


def _row(played: Played) -> list[str]:
    normal, found = played.baseline, played.recovery
    return [
        f"{played.scenario.name}: {played.scenario.words}",
        f"{normal.events_s:,.0f}",
        f"{normal.low / normal.events_s:.0%}-{normal.high / normal.events_s:.0%}",
        f"{played.fault_seconds:.1f}",
        f"{played.during / normal.events_s:.0%}",
        _back(played),
        "" if found is None else f"{found.after / normal.events_s:.0%}",
        f"{played.recounted.lost}",
        f"{played.recounted.twice}",
        "yes" if played.passed else "NO",
    ]


def as_data(played: Sequence[Played], left_out: Mapping[str, str]) -> dict[str, Any]:
    """Return the report; speeds are in events per second."""
    return {
        "passed": not left_out and all(each.passed for each in played),
        "bar_s": BAR_SECONDS,
        "scenarios": {each.scenario.name: _figures(each) for each in played},
        "failed": dict(left_out),
    }


def _figures(played: Played) -> dict[str, Any]:
    normal, found = played.baseline, played.recovery
    return {
        "passed": played.passed,
        "baseline": round(normal.events_s),
        "baseline_low": round(normal.low),
        "baseline_high": round(normal.high),
        "trouble_s": round(played.fault_seconds, 2),
        "meanwhile": round(played.during),
        "back_after_s": None if found is None else round(found.seconds, 2),
        "watched_s": round(played.watched_seconds, 2),
        "then": None if found is None else round(found.after),
        "by_second": [round(each) for each in played.by_second],
        "lost": played.recounted.lost,
        "applied_twice": played.recounted.twice,
        "disagreements": list(played.recounted.disagreements),
    }
