"""What a run found: the report as JSON and as tables."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.chaos.checks import CHECKS
from tests.chaos.choice import Choice
from tests.chaos.rest import NOTHING_MAILED, Mailed
from tests.chaos.schedule import Fault
from tests.chaos.target import EXIT_SECONDS, Target

SHOWN = 10
"""Findings of one check that are printed; the report holds them all."""

MEDIAN_SECONDS, WORST_SECONDS = 10.0, 45.0
"""How fast the system should be itself again: the bars, which decide nothing about exactness."""


@dataclass
class Run:
    """What happened while the nemesis acted."""

    choice: Choice
    recoveries: list[tuple[str, float | None]] = field(default_factory=list)
    """The nemesis and the seconds until the system was itself again; None: it was not in time.

    Where one fault had come before another was overcome, counted from the last.
    """
    undisturbed: float | None = None
    """The same before the first fault."""
    after_all: float | None = None
    """The same after the last; None: the system is broken."""
    faults: list[Fault] = field(default_factory=list)
    """Those that took place, in order."""
    nemesis_failed: list[str] = field(default_factory=list)
    """Faults that could not be brought about, with the kind of error."""
    exits: Sequence[float] = ()
    """Seconds from each SIGTERM to the end of its process."""
    ended: Mapping[str, int] = field(default_factory=dict)
    """How often each program was ended by a nemesis."""
    mid_transaction: int = 0
    """How many of the processes that a storm ended were in a batch's transaction."""
    ended_by_themselves: Mapping[str, int] = field(default_factory=dict)
    """Extra workers of a storm that nobody had ended."""
    events: int = 0
    feed_seconds: float = 0.0
    mailed: Mailed = NOTHING_MAILED
    """How the mailer fared in the end."""
    unfinished: list[str] = field(default_factory=list)
    """What did not come to rest."""
    recounted: Mapping[str, int] = field(default_factory=dict)
    """How much the checks had before them."""
    findings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def note(self, target: Target) -> None:
        """Keep what the target has counted."""
        self.exits = list(target.exits)
        self.ended = Counter(target.killed)
        self.mid_transaction = target.mid_transaction
        self.ended_by_themselves = Counter(target.ended_by_themselves)

    @property
    def passed(self) -> bool:
        """Whether nothing at all was found."""
        late = any(seconds > EXIT_SECONDS for seconds in self.exits)
        recovered = all(seconds is not None for _, seconds in self.recoveries)
        found = late or self.unfinished or any(self.findings.values())
        return recovered and self.after_all is not None and not found

    def as_data(self) -> dict[str, Any]:
        """Return the report."""
        return {
            "passed": self.passed,
            "command": self.choice.command,
            "seed": self.choice.seed,
            "seconds": self.choice.seconds,
            "storm": self.choice.storm,
            "only": list(self.choice.only),
            "rate": self.choice.per_second,
            "events": self.events,
            "events_per_s": round(self.events / self.feed_seconds, 1) if self.feed_seconds else 0.0,
            "faults": len(self.faults),
            "faults_by_nemesis": dict(sorted(Counter(fault.nemesis for fault in self.faults).items())),
            "faults_overlapped": sum(fault.overlapped for fault in self.faults),
            **{name: len(self.findings.get(name, ())) for name in CHECKS},
            "recovery_s": self._recovery(),
            "exits": {
                "count": len(self.exits),
                "worst_s": round(max(self.exits, default=0.0), 2),
                "over_5_s": sum(seconds > EXIT_SECONDS for seconds in self.exits),
            },
            "ended": dict(sorted(self.ended.items())),
            "ended_mid_transaction": self.mid_transaction,
            "ended_by_themselves": dict(sorted(self.ended_by_themselves.items())),
            "nemesis_failed": self.nemesis_failed,
            "unfinished": self.unfinished,
            "mailer": {
                "queued": self.mailed.queued,
                "left": self.mailed.left,
                "seconds": round(self.mailed.seconds, 1),
                "per_s": round(self.mailed.per_second, 1),
            },
            "recounted": dict(self.recounted),
            "findings": {name: list(found) for name, found in self.findings.items()},
        }

    def _recovery(self) -> dict[str, Any]:
        by_nemesis: defaultdict[str, list[float]] = defaultdict(list)
        for nemesis, seconds in self.recoveries:
            if seconds is not None:
                by_nemesis[nemesis].append(round(seconds, 2))
        known = [seconds for each in by_nemesis.values() for seconds in each]
        return {
            **_figures(known),
            "never": [nemesis for nemesis, seconds in self.recoveries if seconds is None],
            "undisturbed": _rounded(self.undisturbed),
            "after_all": _rounded(self.after_all),
            "by_nemesis": {nemesis: _figures(each) for nemesis, each in sorted(by_nemesis.items())},
        }


def _figures(seconds: Sequence[float]) -> dict[str, float | int | None]:
    return {
        "median": round(median(seconds), 2) if seconds else None,
        "worst": max(seconds, default=None),
        "measured": len(seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def show(report: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Print the table by nemesis, the counts, and the first findings of each check."""
    _show_recovery(report, say)
    say("")
    for name in CHECKS:
        say(f"{name:<20}{report[name]:>8}")
        for sentence in report["findings"].get(name, ())[:SHOWN]:
            say(f"    {sentence}")
    exits = report["exits"]
    say(f"{'exits':<20}{exits['count']:>8}   worst {exits['worst_s']} s, over 5 s: {exits['over_5_s']}")
    ended = ", ".join(f"{name} {count}" for name, count in report["ended"].items())
    say(f"{'processes ended':<20}{sum(report['ended'].values()):>8}   {ended}")
    if report["storm"]:
        say(f"{'mid-transaction':<20}{report['ended_mid_transaction']:>8}")
    for key in ("nemesis_failed", "unfinished"):
        for sentence in report[key]:
            say(f"{key}: {sentence}")
    mailer = report["mailer"]
    say(
        f"{'emails in the end':<20}{mailer['queued']:>8}   {mailer['left']} left after"
        f" {mailer['seconds']} s, {mailer['per_s']} a second"
    )
    say("recounted: " + ", ".join(f"{count} {what}" for what, count in report["recounted"].items()))
    say(f"{report['events']} events, {report['events_per_s']} a second")


def _show_recovery(report: Mapping[str, Any], say: Callable[[str], None]) -> None:
    whole = report["recovery_s"]
    nothing = {"median": None, "worst": None, "measured": 0}
    say("")
    say(f"{'nemesis':<20}{'faults':>8}{'measured':>10}{'recovery median s':>20}{'worst s':>10}")
    for nemesis, count in report["faults_by_nemesis"].items():
        _show_row(nemesis, count, whole["by_nemesis"].get(nemesis, nothing), say)
    _show_row("all", report["faults"], whole, say)
    for nemesis in whole["never"]:
        say(f"not recovered in time after: {nemesis}")
    if whole["after_all"] is None:
        say("not recovered in the end")
    if (whole["median"] or 0.0) > MEDIAN_SECONDS or (whole["worst"] or 0.0) > WORST_SECONDS:
        say(f"slower than the bars: median {MEDIAN_SECONDS:.0f} s, worst {WORST_SECONDS:.0f} s")


def _show_row(name: str, faults: int, figures: Mapping[str, Any], say: Callable[[str], None]) -> None:
    middle, worst = (figures[key] if figures["measured"] else "-" for key in ("median", "worst"))
    say(f"{name:<20}{faults:>8}{figures['measured']:>10}{middle:>20}{worst:>10}")
