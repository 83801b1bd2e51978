"""`kill -9` of a service process at a named point of its work (points.py): no seed needs luck to hit it.

Before and after the claim of a batch, before and after a commit, before the commit of offsets, while the
broker's acknowledgement of a publication is awaited, and before the outbox knows of it. The last two are the
relay's, and of the commits some are the scanner's: both live in their service's worker process.
"""

from random import Random

import psutil  # type: ignore[import-untyped]  # ships no types

from tests.chaos.nemeses.patience import until
from tests.chaos.points import OF_A_TRANSACTION, OF_A_WORKER, Points
from tests.chaos.target import Target

REACHED_SECONDS = 15.0
"""How long the point is waited for; a process may be on its way up when it is armed."""

PLACES = [
    # To placement this feed leads too little to come to a point in time.
    *(
        (f"worker-{service}", point)
        for service in ("referral", "assessment", "notify")
        for point in OF_A_WORKER
    ),
    *(("web", point) for point in OF_A_TRANSACTION),
]


def act(target: Target, chance: Random) -> None:
    """Arm one point of one program and wait until a process has died there; it is started again."""
    program, point = chance.choice(PLACES)
    points = Points(target.points, program)
    points.disarm(point)
    points.arm(point)
    try:
        what = f"{program} did not come to the point {point}"
        until(lambda: points.died(point) is not None, what, within=REACHED_SECONDS)
        pid = points.died(point)
        assert pid is not None
        until(lambda: _ended(pid), f"{program} came to the point {point} and lives")
    finally:
        points.disarm(point)
    target.killed.append(program)


def _ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
