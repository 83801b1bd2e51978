"""Child processes that never outlive their owner.

Every child is written to a run file the moment it starts. Three readers keep the promise: the owner itself
at a normal end, a watchdog process when the owner died without warning (kill -9), and the next start when
even the watchdog was killed. A recorded pid counts only while its process has the recorded start time, so a
pid that the system gave to somebody else is never touched.
"""

# ruff: noqa: S603 - starting programs is what this module is for

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from deploy.embedded.errors import EngineError

try:
    import psutil  # type: ignore[import-untyped]  # ships no types
except ImportError:
    raise EngineError("Embedded mode needs psutil: run `pip install 'leadline[embedded]'`.") from None

STOP_WITHIN_SECONDS = 10.0
"""How long a process may take to stop by itself before it is killed."""

_LARGE_LOG_BYTES = 20_000_000

_SAME_START_SECONDS = 3.0  # a clock that was set moves the start times that the system reports


@dataclass(frozen=True)
class Recorded:
    """A started process, as the run file keeps it. `created` is the start time in seconds since 1970."""

    name: str
    pid: int
    created: float
    stop_signal: int = signal.SIGTERM

    def process(self) -> psutil.Process | None:
        """Return the living process, or None when it ended or the pid now belongs to another one."""
        return living(self.pid, self.created)


def living(pid: int, created: float) -> psutil.Process | None:
    """Return the process with this pid and start time when it still runs."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - created) > _SAME_START_SECONDS:
            return None
        # A zombie is dead, but a JVM whose main thread is gone looks like one while its other threads,
        # and the files and ports they hold, live on.
        ended = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
        return None if ended else process
    except psutil.Error:
        return None


def start_time(pid: int) -> float:
    """Return when the process started, in seconds since 1970; 0.0 when it is gone already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def stop_processes(recorded: Iterable[Recorded], *, within: float = STOP_WITHIN_SECONDS) -> None:
    """Ask all of them to stop, wait up to `within` seconds, kill what is left. Returns when none lives."""
    alive = [(entry, process) for entry in recorded if (process := entry.process()) is not None]
    for entry, process in alive:
        with contextlib.suppress(psutil.Error):
            process.send_signal(entry.stop_signal)
    deadline = time.monotonic() + within
    while (alive := [pair for pair in alive if pair[0].process()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for _, process in alive:
        _kill_with_group(process.pid)
    for entry, _ in alive:
        while entry.process() is not None:
            time.sleep(0.02)


def _kill_with_group(pid: int) -> None:
    """Kill the process and the group it leads: a killed leader cannot end its own children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def write_atomically(path: Path, content: object) -> None:
    """Write `content` as JSON so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.replace(path)


def read_run_file(path: Path) -> tuple[int, tuple[Recorded, ...]]:
    """Return the owner's pid and the processes of a run file; (0, ()) when there is none to read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content["owner"]), tuple(Recorded(**entry) for entry in content["processes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ()


def stop_leftovers(run_dir: Path) -> tuple[str, ...]:
    """Stop whatever an earlier owner of this directory left running, and return the names.

    Call it only while holding the directory's lock: then every run file found is a leftover.
    """
    stopped: list[str] = []
    # Service processes before engines, so that they end with their broker and database still there.
    for path in sorted(run_dir.glob("*.processes.json"), key=lambda p: p.name.startswith("engines")):
        _, recorded = read_run_file(path)
        stopped += [entry.name for entry in recorded if entry.process()]
        stop_processes(recorded)
        path.unlink(missing_ok=True)
    return tuple(stopped)


@dataclass(frozen=True)
class Account:
    """The system user a child runs as, when that is not the owner's own."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Spec:
    """How to start a process.

    Its output is appended to `log`. `env` replaces the whole environment when given.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None


def as_account(account: Account | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` run a program as this account, or as ourselves."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def _open_log(path: Path) -> BinaryIO:
    """Open a log to append to. A large one becomes `<name>.1` first, in place of an older one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LARGE_LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


class Child:
    """One started process. Made by `Children.spawn`."""

    def __init__(self, popen: subprocess.Popen[bytes], recorded: Recorded, spec: Spec) -> None:
        self._popen = popen
        self.recorded = recorded
        self.spec = spec

    @property
    def name(self) -> str:
        """The name it was started under."""
        return self.recorded.name

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.recorded.pid

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self._popen.poll()

    def reap(self) -> None:
        """Take the ended process out of the system's table. Waits when it has not quite ended."""
        self._popen.wait()

    def last_words(self) -> str:
        """Return the last line of its log, or an empty string: the best hint at why it ended."""
        try:
            lines = self.spec.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""


class Children:
    """The processes of one owner. Thread-safe; a context manager that stops them all at the end.

    Their run file is `<run_dir>/<group>.processes.json`. Each child leads its own session: Ctrl-C in the
    terminal reaches the owner alone, which then stops its children in order.
    """

    def __init__(self, run_dir: Path, *, group: str) -> None:
        self._file = run_dir.resolve() / f"{group}.processes.json"
        self._lock = threading.Lock()
        self._children: dict[str, Child] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Start the watchdog. Needed once, before the first `spawn`."""
        self._write()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "deploy.embedded.watchdog", str(self._file), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # a signal to the owner's process group must not end it as well
        )

    def close(self) -> None:
        """Stop every child, the run file and the watchdog. No spawn() succeeds from now on."""
        with self._lock:
            children, self._children = tuple(self._children.values()), {}
            watchdog, self._watchdog = self._watchdog, None
        stop_processes(child.recorded for child in children)
        for child in children:
            child.reap()
        self._file.unlink(missing_ok=True)
        if watchdog is not None:
            # The file is gone, so the end of its input gives the watchdog nothing to stop.
            watchdog.communicate()

    def spawn(self, spec: Spec) -> Child:
        """Start a process, which replaces an ended child of that name, and record it.

        Raises OSError when the program cannot be started.
        """
        with self._lock:
            if self._watchdog is None:
                raise RuntimeError("spawn() comes after open() and before close()")
            with _open_log(spec.log) as output:
                popen = subprocess.Popen(
                    spec.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if spec.env is None else dict(spec.env),
                    cwd=spec.cwd,
                    start_new_session=True,
                    **as_account(spec.account),
                )
            recorded = Recorded(spec.name, popen.pid, start_time(popen.pid), spec.stop_signal)
            child = self._children[spec.name] = Child(popen, recorded, spec)
            self._write()
        return child

    def spawn_again(self, child: Child) -> Child:
        """Start an ended child once more, the way it was started."""
        return self.spawn(child.spec)

    def stop(self, child: Child) -> None:
        """Stop one child and forget it."""
        stop_processes([child.recorded])
        child.reap()
        with self._lock:
            if self._children.get(child.name) is child:
                del self._children[child.name]
                self._write()

    def _write(self) -> None:
        processes = [asdict(child.recorded) for child in self._children.values()]
        write_atomically(self._file, {"owner": os.getpid(), "processes": processes})
