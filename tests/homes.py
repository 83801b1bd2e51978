"""Directories for runs that start engines of their own: two runs at the same time must not share them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def free_home(parent: Path) -> Iterator[Path]:
    """Give a numbered directory under `parent` that no other running process holds, made where missing."""
    for number in count(1):
        home = parent / str(number)
        home.mkdir(parents=True, exist_ok=True)
        with (home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home
            return
