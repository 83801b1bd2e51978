"""`python -m tests.chaos.mutations`: break the product in each way and tell what the recount found.

Each mutation is a run of its own on engines of its own and takes minutes, so that no test does this. The exit
code is 1 when one of them was not found: then a check is missing.
"""

import argparse
import json
import subprocess
import sys

from tests.chaos.checks import CHECKS
from tests.chaos.home import VAR
from tests.chaos.mutations import MUTATIONS


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def found(mutation: str, *, seconds: int, seed: int) -> dict[str, int]:
    """Play one run; return how much each check has found. RuntimeError when the run itself broke."""
    report = VAR / "chaos" / f"{mutation}.json"
    report.unlink(missing_ok=True)
    command = (sys.executable, "-m", "tests.chaos", "--mutation", mutation)
    subprocess.run((*command, "--seconds", str(seconds), "--seed", str(seed)), check=False)
    if not report.exists():
        message = f"the run with {mutation} ended without a report"
        raise RuntimeError(message)
    data = json.loads(report.read_text(encoding="utf-8"))
    return {name: data[name] for name in CHECKS if data[name]}


def main() -> None:
    """Play them all, then print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutations", description=__doc__)
    parser.add_argument("--seconds", type=int, default=45, help="how long each feed runs")
    parser.add_argument("--seed", type=int, default=7, help="decides the feed and the faults")
    given = parser.parse_args()
    findings = {name: found(name, seconds=given.seconds, seed=given.seed) for name in MUTATIONS}
    say("")
    for name, counts in findings.items():
        words = ", ".join(f"{count} {check}" for check, count in counts.items())
        say(f"{name:<26}{words or 'NOT FOUND'}")
    raise SystemExit(0 if all(findings.values()) else 1)


if __name__ == "__main__":
    main()
