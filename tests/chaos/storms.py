"""The nemeses of storms: one worker after the other, each in the middle of its work."""

import os
import signal
import time
from math import inf
from random import Random

from tests.chaos.at_work import Work, work_of
from tests.chaos.target import Target

PATIENCE_SECONDS = 10.0
"""How long a worker is waited for that handles something."""

WINDOW_SECONDS = 0.3
"""Who has ended a batch within this time is at work."""

CAUGHT_SECONDS = 3.0
"""How long one is waited for that is in a transaction."""

LOOK_SECONDS = 0.002


class NobodyAtWork(Exception):  # noqa: N818 - a finding, not a mistake
    """No worker has handled anything for `PATIENCE_SECONDS`."""


def worker_killed(target: Target, chance: Random) -> None:
    """SIGKILL a worker that is at work, at whatever moment it is."""
    name = chance.choice(_at_work(target))
    os.kill(target.pid(name), signal.SIGSTOP)  # so that what is noted is what it was killed in
    target.mid_transaction += _work(target, name).in_a_transaction
    target.kill(name)


def worker_stopped(target: Target, chance: Random) -> None:
    """SIGTERM a worker in the middle of a transaction, and time its exit.

    It stands still while we look and while the signal is sent, so that it cannot have ended its transaction
    in between. Should nobody be caught within `CAUGHT_SECONDS`, one is stopped that was not, and not counted
    as such.
    """
    give_up = time.monotonic() + CAUGHT_SECONDS
    while time.monotonic() < give_up:
        names = [name for name in target.workers() if _work(target, name).in_a_transaction]
        if names and _stopped_in_the_middle(target, chance.choice(names)):
            return
        time.sleep(LOOK_SECONDS)
    target.stop(chance.choice(_at_work(target)))


def _stopped_in_the_middle(target: Target, name: str) -> bool:
    pid = target.pid(name)
    os.kill(pid, signal.SIGSTOP)
    if not _work(target, name).in_a_transaction:
        os.kill(pid, signal.SIGCONT)
        return False
    target.mid_transaction += 1
    target.stop(name)
    return True


def _at_work(target: Target) -> list[str]:
    """Return the workers that have ended a batch just now. Raises NobodyAtWork.

    Which moment of its next batch each is at then, is left to the window's end.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        before = {(name, target.pid(name)): _work(target, name).ended for name in target.workers()}
        time.sleep(WINDOW_SECONDS)
        names = [
            name
            for name in target.workers()
            if _work(target, name).ended > before.get((name, target.pid(name)), inf)
        ]
        if names:
            return names
    raise NobodyAtWork


def _work(target: Target, name: str) -> Work:
    return work_of(target.work, target.pid(name))
