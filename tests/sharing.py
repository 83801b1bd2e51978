"""Who runs which tests, where processes share them: engines are what costs, so few processes start them."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # ships no types

OWN_ENGINES = (
    "tests/connected/test_restore.py",
    "tests/connected/test_killed_workers.py",
    "tests/connected/test_fallback_broker.py",
    "tests/connected/test_engines.py",
    "tests/connected/test_nothing_personal.py",
)
"""Files that start engines for themselves, the longest first."""

SESSIONS_ENGINES = (
    ("tests/connected", "tests/simulation/contract"),
    ("tests/flow", "tests/fuzz"),
)
"""Directories whose tests share the engines of a session: each row is one process's part, begun with."""


def part_of(path: str) -> str:
    """Return the name of the part that a test file belongs to: parts are never divided."""
    if path not in OWN_ENGINES:
        for part in SESSIONS_ENGINES:
            if any(PurePosixPath(path).is_relative_to(directory) for directory in part):
                return part[0]
    return path


def turn_of(path: str) -> int:
    """Return when the part of a test file begins: first what shares engines, then what has its own."""
    order: Sequence[str] = (*(first for first, *_ in SESSIONS_ENGINES), *OWN_ENGINES)
    part = part_of(path)
    return order.index(part) if part in order else len(order)


class Parts(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Gives each process a part after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid.partition("::")[0])
