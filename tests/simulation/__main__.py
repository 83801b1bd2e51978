"""`python -m tests.simulation`: play many seeds on all cores, print those that fail; --help says more."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.progress import track

from tests.simulation.injection import PARTS, Case, cases, inject
from tests.simulation.play import play
from tests.simulation.report import REPORT, Tally, write

T = TypeVar("T")
Played = tuple[str, str, list[str], int, float, list[str]]
"""Its name, how to replay it, findings, steps, virtual seconds, faults."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code is 1 when a seed or a case found something."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Play the kernel against fakes under many seeds, and recount each from what was sent.",
    )
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds are played")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every step of it")
    parser.add_argument("--injection", action="store_true", help="a fault at every await instead of seeds")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return _one(given.seed, trace=given.trace)
    if given.injection:
        found = [case for part in PARTS for case in cases(part)]
        say(f"{len(found)} cases: a fault at every await of deliver, relay and scanner")
        return _many(_inject, found, what="cases")
    return _many(_play, range(given.first, given.first + given.seeds), what="seeds")


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _one(seed: int, *, trace: bool) -> int:
    outcome = play(seed, traced=trace)
    for line in outcome.trace:
        say(line)
    say(f"seed {seed}: {outcome.steps} steps, at rest after {outcome.seconds:.1f} virtual seconds")
    say(f"faults: {', '.join(outcome.faults) or 'none'}")
    for finding in outcome.findings:
        say(f"  {finding}")
    say("NOT EXACT" if outcome.findings else "exact")
    return 1 if outcome.findings else 0


def _many(work: Callable[[T], Played], over: Sequence[T], *, what: str) -> int:
    tally, begun = Tally(), time.monotonic()
    for name, replay, findings, steps, seconds, faults in _on_all_cores(work, over, what):
        tally.seeds += 1
        tally.steps += steps
        tally.virtual_seconds += seconds
        tally.faults.update(fault.partition(" at ")[0] for fault in faults)
        if findings:
            tally.failed[name] = findings
            say(f"{name}: NOT EXACT; again with: {replay}")
            for finding in findings[:5]:
                say(f"    {finding}")
    seconds = time.monotonic() - begun
    report = tally.as_data(seconds, what=what)
    write(report)
    say(
        f"{tally.seeds} {what}, {tally.steps} steps, {tally.faults.total()} faults,"
        f" {report['virtual_seconds']} virtual seconds in {seconds:.1f} s"
    )
    verdict = "all exact" if not tally.failed else f"{len(tally.failed)} of {tally.seeds} {what} NOT EXACT"
    say(f"{verdict}; the report is {REPORT.relative_to(REPORT.parents[2])}")
    return 1 if tally.failed else 0


def _on_all_cores(work: Callable[[T], Played], over: Sequence[T], what: str) -> Iterator[Played]:
    # Forked before anything has run, so that no process inherits a loop; results come in their order.
    with multiprocessing.get_context("fork").Pool(os.cpu_count() or 1) as pool:
        results: Iterable[Played] = pool.imap(work, over, chunksize=8)
        yield from track(results, description=what, total=len(over), disable=not sys.stdout.isatty())


def _play(seed: int) -> Played:
    outcome = play(seed)
    again = f"python -m tests.simulation --seed {seed} --trace"
    return f"seed {seed}", again, outcome.findings, outcome.steps, outcome.seconds, outcome.faults


def _inject(case: Case) -> Played:
    outcome, injected = inject(case)
    name = f"{case.kind} at step {case.number} of {case.part}, seed {case.seed} ({injected})"
    again = "python -m tests.simulation --injection"
    return name, again, outcome.findings, outcome.steps, outcome.seconds, outcome.faults


if __name__ == "__main__":
    sys.exit(main())
