"""The ratios of the last landed run, kept in the repository, and what a run says about them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.choice import Choice
from tests.bench.guard import compare, ratios_of
from tests.bench.machine import revision
from tests.bench.say import say
from tests.bench.stage import VAR

LANDED = Path(__file__).parent / "landed.json"
LATEST = VAR / "bench" / "latest.json"
COARSELY = ("processor", "cores", "memory_gb", "python", "broker", "database")
"""What the landed figures tell of the machine."""
SCALE = "quick"


class NotLanded(Exception):  # noqa: N818 - an answer, not a mistake
    """A report that cannot stand for its revision; the text says why and what to do."""


def to_land(report: Mapping[str, Any], *, head: str) -> dict[str, Any]:
    """Return what is kept of a report. Raises NotLanded unless it is a sound, whole, quick run of `head`."""
    machine = report["machine"]
    if report["scale"] != SCALE:
        raise NotLanded("The last whole run was a full one: run `make bench QUICK=1` and land that.")
    if not report["consistent"] or report["failed"] or report["missing"]:
        raise NotLanded("The last run disagreed with its recount or lacks figures: see what it printed.")
    if machine["revision"] != head or machine["changed_files"]:
        raise NotLanded("The last run was of other code: commit, run `make bench QUICK=1`, then land.")
    return {
        "scale": report["scale"],
        "at": machine["at"],
        "revision": machine["revision"],
        "machine": {name: machine[name] for name in COARSELY},
        "ratios": report["ratios"],
    }


def land() -> None:
    """Keep the ratios of the last whole run. Raises NotLanded."""
    try:
        report = json.loads(LATEST.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotLanded("There is no whole run yet: run `make bench QUICK=1`.") from None
    kept = to_land(report, head=revision())
    slower = [
        verdict for verdict in compare(_landed_ratios(), ratios_of(report)) if verdict.state == "slower"
    ]
    LANDED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    say(f"{LANDED.name} has the ratios of {kept['revision'][:10]}: commit it.")
    if slower:
        say("The message of that commit says what got slower, and why it is worth it:")
        for verdict in slower:
            say(f"  {verdict.words}")


def tell(report: dict[str, Any], choice: Choice) -> None:
    """Add what became of the landed ratios to a report, and print it. Says nothing of a profiled run."""
    landed = json.loads(LANDED.read_text(encoding="utf-8"))
    before, now = ratios_of(landed), ratios_of(report)
    if choice.profile or not now:
        return
    say()
    if report["scale"] != SCALE:
        say("not compared with the landed run: that was a quick one")
        return
    if not before:
        say("no run has been landed yet: `python -m tests.bench --land` keeps the ratios of the last one")
        return
    verdicts = list(compare(before, now, whole=choice.whole))
    report["landed"] = {
        "revision": landed["revision"],
        "verdicts": {each.name: each.state for each in verdicts},
    }
    say(f"beside the landed run of {landed['at'][:10]}, revision {landed['revision'][:10]}")
    for verdict in verdicts:
        say(f"  {verdict.words}")
    different = [name for name in COARSELY if landed["machine"][name] != report["machine"][name]]
    if different:
        say(f"  that run had another machine or other engines: {', '.join(different)}")
    if any(verdict.state == "slower" for verdict in verdicts):
        say("  SLOWER than the landed run: look again on an idle machine; a landing that costs speed says so")


def _landed_ratios() -> Any:
    return ratios_of(json.loads(LANDED.read_text(encoding="utf-8")))
