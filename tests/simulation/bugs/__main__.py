"""`python -m tests.simulation.bugs`: after how many seeds the simulation finds each planted mistake.

The exit code is 1 when one is not found.
"""

import argparse
import sys
import time

from tests.simulation.bugs import BUGS
from tests.simulation.bugs.search import SEEDS, first_found


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print one line for each bug, as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.bugs", description=__doc__)
    parser.add_argument("--bug", action="append", choices=sorted(BUGS), help="this one; all otherwise")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many are played at the most")
    given = parser.parse_args()
    missed = 0
    say(f"{'bug':<36}{'first seed':>10}{'seconds':>9}  finding")
    names = given.bug or list(BUGS)
    for name in names:
        begun = time.monotonic()
        found = first_found(BUGS[name], seeds=given.seeds)
        seed, words = ("-", "NOT FOUND") if found is None else (str(found.seed), found.finding)
        say(f"{name:<36}{seed:>10}{time.monotonic() - begun:>9.1f}  {words[:120]}")
        missed += found is None
    say(f"{len(names) - missed} found, {missed} missed")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
