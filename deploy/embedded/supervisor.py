"""Runs the service processes of one checkout and keeps them running.

    with Supervisor(programs, var / "log") as supervisor:
        supervisor.wait_ready(within=30)
        announce(var, {...})

A process that ends is started again after a growing pause. Whatever ends the supervisor, its processes end
too (processes.py says how).
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from deploy.embedded.errors import EngineError
from deploy.embedded.keeper import Keeper
from deploy.embedded.processes import Child, Children, Spec
from deploy.embedded.running import announce, find_running, withdraw

__all__ = ["Program", "Supervisor", "announce", "exit_on_signals", "find_running", "withdraw"]

_LOOK_EVERY_SECONDS = 0.05


@dataclass(frozen=True)
class Program:
    """One process to run. `env` is added to the supervisor's own environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    """Tells whether it serves; must return fast and may not raise. None: running is enough."""


class Supervisor:
    """Starts the programs in order, restarts what dies, stops all at the end. Thread-safe.

    Output goes to `<log_dir>/<name>.log`; the run file to `run_dir`, `<log_dir>/../run` unless told.
    """

    def __init__(self, programs: Sequence[Program], log_dir: Path, *, run_dir: Path | None = None) -> None:
        names = [program.name for program in programs]
        if len(set(names)) != len(names):
            raise ValueError(f"two programs of one name: {names}")
        self._programs = tuple(programs)
        self._log_dir = log_dir.resolve()
        self._children = Children(run_dir or self._log_dir.parent / "run", group="programs")
        self._keeper = Keeper(self._children)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every program, once. Raises EngineError, with nothing left running, when one cannot start."""
        self._children.open()
        try:
            for program in self._programs:
                self._keeper.keep(self._spawn(program))
        except BaseException:
            self._children.close()
            raise
        self._keeper.start()

    def stop(self) -> None:
        """Stop every program: SIGTERM, after ten seconds SIGKILL. Returns when all have ended."""
        self._keeper.stop()
        self._children.close()

    def wait_ready(self, *, within: float) -> None:
        """Return when every program serves. Raises EngineError for one that does not in time."""
        deadline = time.monotonic() + within
        for program in self._programs:
            while not self._is_ready(program):
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"{program.name} is not ready after {within:.0f} seconds: look into "
                        f"{self._log_dir / program.name}.log, then start again."
                    )
                time.sleep(_LOOK_EVERY_SECONDS)

    def pid(self, name: str) -> int:
        """Return the pid of the program's present process (of its last one while a restart is due)."""
        return self._keeper.pid(name)

    def restarts(self, name: str) -> int:
        """Return how often the program was started again."""
        return self._keeper.restarts(name)

    def is_running(self, name: str) -> bool:
        """Return whether the program's process lives."""
        return self._keeper.is_running(name)

    def kill(self, name: str, signal_number: signal.Signals = signal.SIGKILL) -> int:
        """Send the program's process a signal and return its pid. It will be started again."""
        return self._keeper.kill(name, signal_number)

    def _is_ready(self, program: Program) -> bool:
        return self.is_running(program.name) and (program.ready is None or program.ready())

    def _spawn(self, program: Program) -> Child:
        log = self._log_dir / f"{program.name}.log"
        try:
            return self._children.spawn(Spec(program.name, program.argv, log, {**os.environ, **program.env}))
        except OSError as error:
            raise EngineError(
                f"{program.name} cannot be started ({error.strerror}: {program.argv[0]}): "
                f"install Leadline again with `pip install -e '.[embedded]'`."
            ) from None


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the main thread's block like Ctrl-C does, so that everything is stopped.

    They raise SystemExit with the customary code (128 + signal). Main thread only.
    """

    def leave(number: int, _: FrameType | None) -> None:
        # A second signal while stopping must not interrupt the stopping.
        for wanted in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(wanted, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    wanted = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, leave) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
