"""The owner of a run directory, and the address of the running system."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.embedded.errors import AlreadyRunningError
from deploy.embedded.processes import living, start_time, write_atomically


@contextlib.contextmanager
def sole_owner(var: Path) -> Iterator[Path]:
    """Hold `var` for this process and give its run directory; the system lets go even after a kill -9.

    Raises AlreadyRunningError when a living process holds it.
    """
    run_dir = var / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise AlreadyRunningError(
                f"Leadline already runs from this checkout (process {holder}): stop that one first, with "
                f"Ctrl-C in its terminal or `kill {holder}`."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield run_dir


def announce(var: Path, facts: Mapping[str, Any]) -> None:
    """Tell other commands where the running system answers: `facts` (JSON) plus this process's identity.

    Written atomically to `<var>/run/system.json`; call `withdraw` at the end.
    """
    identity = {"pid": os.getpid(), "started": start_time(os.getpid())}
    write_atomically(var / "run" / "system.json", {**facts, **identity})


def withdraw(var: Path) -> None:
    """Take the announcement back. Harmless when there is none."""
    (var / "run" / "system.json").unlink(missing_ok=True)


def find_running(var: Path) -> dict[str, Any] | None:
    """Return what `announce` told, or None when nothing was announced or the announcing process is dead."""
    try:
        facts: dict[str, Any] = json.loads((var / "run" / "system.json").read_text(encoding="utf-8"))
        return facts if living(facts["pid"], facts["started"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
