"""PostgreSQL stands still, connections and all, for longer than its clients wait, then goes on.

As on a host that is suspended, migrated or swapping: nobody is told, nothing is closed.
"""

import time
from random import Random

import psutil  # type: ignore[import-untyped]  # ships no types

from tests.chaos.nemeses.patience import NotBroughtAbout
from tests.chaos.target import Target

PAUSE_SECONDS = (10.5, 12.0)
"""Whoever has sent a request gives up after 10 seconds and asks again; a consumer's session ends after 6."""


def act(target: Target, chance: Random) -> None:
    """Freeze the server with every process that it has, then let all go on."""
    server = target.engine("postgres").process()
    if server is None:
        message = "the server was not there to be paused"
        raise NotBroughtAbout(message)
    frozen = [server]
    server.suspend()  # first: it can have no more children then
    try:
        for child in server.children(recursive=True):
            frozen.append(child)
            child.suspend()
        time.sleep(chance.uniform(*PAUSE_SECONDS))
    finally:
        for process in reversed(frozen):
            _go_on(process)


def _go_on(process: psutil.Process) -> None:
    try:
        process.resume()
    except psutil.NoSuchProcess:
        return
