"""Restarts processes that ended without being stopped."""

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass

from deploy.embedded.processes import Child, Children

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 15.0
_STEADY_SECONDS = 30.0  # whoever ran this long had started well: the pauses begin again with the first
_LOOK_EVERY_SECONDS = 0.1


@dataclass
class _Kept:
    """One kept process; guarded by the keeper's lock."""

    child: Child
    started: float
    restarts: int = 0
    pause: float = _FIRST_PAUSE_SECONDS
    start_again_at: float | None = None


class Keeper:
    """Keeps children of one owner running, with a pause before each restart that doubles. Thread-safe.

    Stop the keeper before the children: else it would start them again.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to watch. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the children stay as they are. Harmless when never started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def keep(self, child: Child) -> None:
        """Restart this child from now on whenever it ends."""
        with self._lock:
            self._kept[child.name] = _Kept(child, time.monotonic())

    def pid(self, name: str) -> int:
        """Return the pid of the present process (of the last one while a restart is due)."""
        with self._lock:
            return self._kept[name].child.pid

    def restarts(self, name: str) -> int:
        """Return how often it was started again."""
        with self._lock:
            return self._kept[name].restarts

    def is_running(self, name: str) -> bool:
        """Return whether its process lives."""
        with self._lock:
            return self._kept[name].child.exit_code() is None

    def kill(self, name: str, signal_number: signal.Signals = signal.SIGKILL) -> int:
        """Send its process a signal and return its pid. Should that end it, it is started again soon."""
        with self._lock:
            kept = self._kept[name]
            if kept.child.exit_code() is None:
                os.kill(kept.child.pid, signal_number)
                # Whoever is told to end has not failed: growing pauses are for those that cannot stay up.
                kept.pause = _FIRST_PAUSE_SECONDS
            return kept.child.pid

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            with self._lock:
                for kept in self._kept.values():
                    self._look_after(kept)

    def _look_after(self, kept: _Kept) -> None:
        if kept.child.exit_code() is None:
            return
        now = time.monotonic()
        if kept.start_again_at is None:
            if now - kept.started > _STEADY_SECONDS:
                kept.pause = _FIRST_PAUSE_SECONDS
            kept.start_again_at = now + kept.pause
            kept.pause = min(kept.pause * 2, _LONGEST_PAUSE_SECONDS)
        elif now >= kept.start_again_at:
            # A program that is gone for a moment (an upgrade) is tried again after the next pause.
            with contextlib.suppress(OSError):
                kept.child = self._children.spawn_again(kept.child)
                kept.restarts += 1
            kept.started, kept.start_again_at = now, None
