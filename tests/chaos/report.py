"""What a run found: the report as JSON and as tables."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.chaos.checks import CHECKS
from tests.chaos.choice import Choice
from tests.chaos.schedule import Fault
from tests.chaos.target import EXIT_SECONDS

SHOWN = 10
"""Findings of one check that are printed; the report holds them all."""


@dataclass
class Run:
    """What happened while the nemesis acted."""

    choice: Choice
    recoveries: list[tuple[str, float | None]] = field(default_factory=list)
    """The nemesis and the seconds until the system was itself again; None: it was not in time."""
    faults: list[Fault] = field(default_factory=list)
    """Those that took place, in order."""
    nemesis_failed: list[str] = field(default_factory=list)
    """Faults that could not be brought about, with the kind of error."""
    exits: Sequence[float] = ()
    events: int = 0
    feed_seconds: float = 0.0
    unfinished: list[str] = field(default_factory=list)
    """What did not come to rest."""
    recounted: Mapping[str, int] = field(default_factory=dict)
    """How much the checks had before them."""
    findings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing at all was found."""
        late = any(seconds > EXIT_SECONDS for seconds in self.exits)
        recovered = all(seconds is not None for _, seconds in self.recoveries)
        return recovered and not (late or self.unfinished or any(self.findings.values()))

    def as_data(self) -> dict[str, Any]:
        """Return the report."""
        by_nemesis: defaultdict[str, list[float]] = defaultdict(list)
        for nemesis, seconds in self.recoveries:
            if seconds is not None:
                by_nemesis[nemesis].append(round(seconds, 2))
        known = [seconds for each in by_nemesis.values() for seconds in each]
        return {
            "passed": self.passed,
            "seed": self.choice.seed,
            "seconds": self.choice.seconds,
            "storm": self.choice.storm,
            "rate": self.choice.per_second,
            "events": self.events,
            "events_per_s": round(self.events / self.feed_seconds, 1) if self.feed_seconds else 0.0,
            "faults": len(self.faults),
            "faults_by_nemesis": dict(sorted(Counter(fault.nemesis for fault in self.faults).items())),
            **{name: len(self.findings.get(name, ())) for name in CHECKS},
            "recovery_s": {
                "median": round(median(known), 2) if known else None,
                "worst": max(known, default=None),
                "never": [nemesis for nemesis, seconds in self.recoveries if seconds is None],
                "by_nemesis": {
                    nemesis: {"median": round(median(each), 2), "worst": max(each)}
                    for nemesis, each in sorted(by_nemesis.items())
                },
            },
            "exits": {
                "count": len(self.exits),
                "worst_s": round(max(self.exits, default=0.0), 2),
                "over_5_s": sum(seconds > EXIT_SECONDS for seconds in self.exits),
            },
            "nemesis_failed": self.nemesis_failed,
            "unfinished": self.unfinished,
            "recounted": dict(self.recounted),
            "findings": {name: list(found) for name, found in self.findings.items()},
        }


def show(report: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Print the table by nemesis, the counts, and the first findings of each check."""
    recoveries = report["recovery_s"]["by_nemesis"]
    say("")
    say(f"{'nemesis':<20}{'faults':>8}{'recovery median s':>20}{'worst s':>10}")
    for nemesis, count in report["faults_by_nemesis"].items():
        seconds = recoveries.get(nemesis, {"median": "-", "worst": "-"})
        say(f"{nemesis:<20}{count:>8}{seconds['median']:>20}{seconds['worst']:>10}")
    whole = report["recovery_s"]
    say(f"{'all':<20}{report['faults']:>8}{whole['median'] or '-':>20}{whole['worst'] or '-':>10}")
    say("")
    for name in CHECKS:
        say(f"{name:<20}{report[name]:>8}")
        for sentence in report["findings"].get(name, ())[:SHOWN]:
            say(f"    {sentence}")
    exits = report["exits"]
    say(f"{'exits':<20}{exits['count']:>8}   worst {exits['worst_s']} s, over 5 s: {exits['over_5_s']}")
    for key in ("nemesis_failed", "unfinished"):
        for sentence in report[key]:
            say(f"{key}: {sentence}")
    for nemesis in report["recovery_s"]["never"]:
        say(f"not recovered in time after: {nemesis}")
    say("recounted: " + ", ".join(f"{count} {what}" for what, count in report["recounted"].items()))
    say(f"{report['events']} events, {report['events_per_s']} a second")
