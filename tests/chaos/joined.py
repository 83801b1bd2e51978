"""Whether a worker has joined its consumer group: put inside its process (inside.py), seen from outside.

A process that is still starting has nothing that a rebalance could disturb.
"""

import os
from pathlib import Path

from services.kernel.kafka.consumer import BatchConsumer

VARIABLE = "LEADLINE_CHAOS_JOINED"
"""The directory in which each process that has joined leaves a file, named by its pid."""

INSIDE = "joined:install"
"""What inside.py is to call."""


def has_joined(folder: Path, pid: int) -> bool:
    """Return whether the process with this pid is a member of its group, or has been."""
    return (folder / str(pid)).exists()


def install() -> None:
    """Leave the file as soon as this process has joined."""
    folder = Path(os.environ[VARIABLE])
    reached = BatchConsumer._reached

    def reaching(intake: "BatchConsumer[object]") -> None:
        if intake.broker_reachable is not True:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / str(os.getpid())).touch()
        reached(intake)

    BatchConsumer._reached = reaching  # type: ignore[method-assign,assignment]  # what is put inside replaces
