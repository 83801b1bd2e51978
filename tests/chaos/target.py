"""What a nemesis acts on: the processes of a running system, its engines, and workers that join and leave."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

from sqlalchemy.engine import make_url

from deploy.embedded.processes import Child, Children, Recorded, Spec, read_run_file
from deploy.embedded.system import System
from tests.chaos import inside
from tests.chaos.partner_journal import PartnerJournal
from tests.chaos.proxy import Proxy

ROOT = Path(__file__).parents[2]
SERVICES = ("referral", "assessment", "placement", "notify")
PROGRAMS = (*(f"worker-{service}" for service in SERVICES), "web")
EXIT_SECONDS = 5.0
"""How long a process may take to stop when it is told to."""

HOPELESS_SECONDS = 20.0
LOOK_SECONDS = 0.02

WORK = "work"
"""The directory, in a run's own, where processes count what they do (at_work.py)."""

POINTS, JOINED = "points", "joined"
"""Further ones: of triggers (points.py), and of workers that have joined (joined.py)."""

EXTRA_WORKERS: Mapping[str, int] = {"referral": 2, "assessment": 2, "placement": 1, "notify": 2}
"""Beside one each, in a storm: starting takes some seconds, and somebody must be at work meanwhile."""


@dataclass
class Target:
    """A running system to be disturbed. Used by one nemesis at a time."""

    system: System
    home: Path
    children: Children
    """Owns workers beyond the system's own."""
    exits: list[float] = field(default_factory=list)
    """Seconds from each SIGTERM to the end of its process."""
    killed: list[str] = field(default_factory=list)
    """The program of each process that a nemesis has ended."""
    mid_transaction: int = 0
    """How many of them were seen in a batch's transaction at their last moment, by storms."""
    clock_offset: timedelta = timedelta()
    """What a nemesis has added to the county's time; the run keeps to it as time goes on."""
    extra: dict[str, Child] = field(default_factory=dict)
    """Extra workers that are to stay, by name: whoever ends one starts it again."""
    ended_by_themselves: list[str] = field(default_factory=list)
    """Extra workers that nobody had ended, and that were started again."""
    partners: PartnerJournal = field(default_factory=PartnerJournal)
    """What partners have published: who wipes the broker lets them send it again."""
    broker_proxy: Proxy | None = None
    """Between the broker and everybody else, once a nemesis has put it there."""
    resources: ExitStack = field(default_factory=ExitStack)
    """What nemeses leave standing until the end of the run."""
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def work(self) -> Path:
        """Return where the processes count what they do."""
        return self.home / WORK

    @property
    def points(self) -> Path:
        """Return where the named points are armed at which processes die."""
        return self.home / POINTS

    @property
    def joined(self) -> Path:
        """Return where workers tell that they have joined their group."""
        return self.home / JOINED

    def running(self) -> list[str]:
        """Return the programs of which a process lives now, extra workers included."""
        kept = [name for name in PROGRAMS if self.system.supervisor.is_running(name)]
        return kept + [name for name, child in self.extra.items() if child.exit_code() is None]

    def workers(self) -> list[str]:
        """Return the workers that live now; extra ones that have ended by themselves are started again."""
        for name, child in self.extra.items():
            if child.exit_code() is not None:
                self.ended_by_themselves.append(name)
                self.extra[name] = self.children.spawn_again(child)
        return [name for name in self.running() if name != "web"]

    def pid(self, name: str) -> int:
        """Return the pid of a program's present process."""
        return self.extra[name].pid if name in self.extra else self.system.supervisor.pid(name)

    def kill(self, name: str) -> None:
        """SIGKILL a program's process; it is started again."""
        self.killed.append(name)
        if name in self.extra:
            os.kill(self.extra[name].pid, signal.SIGKILL)
            self.extra[name].reap()
            self.extra[name] = self.children.spawn_again(self.extra[name])
        else:
            self.system.supervisor.kill(name)

    def stop(self, name: str) -> None:
        """SIGTERM a program's process, wait for its end and note the time; it is started again.

        A process that stands still gets the signal and goes on.
        """
        self.killed.append(name)
        if name in self.extra:
            self._timed(self.extra[name])
            self.extra[name] = self.children.spawn_again(self.extra[name])
            return
        supervisor = self.system.supervisor
        begun = time.monotonic()
        pid = supervisor.kill(name, signal.SIGTERM)
        supervisor.kill(name, signal.SIGCONT)
        self._gone(lambda: supervisor.pid(name) != pid or not supervisor.is_running(name), pid, begun)

    def join(self, service: str) -> Child:
        """Start one more worker of a service."""
        name = f"extra-{service}-{next(self._numbers)}"
        argv = (*inside.COMMAND, "worker", service)
        log = self.home / "log" / f"extra-{service}.log"
        return self.children.spawn(Spec(name, argv, log, {**os.environ, **self.system.env}, ROOT))

    def leave(self, child: Child) -> None:
        """Let an extra worker go as an orchestrator would, and note the time it took."""
        self._timed(child)
        self.children.stop(child)

    def stop_services(self) -> None:
        """Stop every service for good; the engines stay."""
        self.system.supervisor.stop()
        self.children.close()

    def engine(self, name: str) -> Recorded:
        """Return the present process of `kafka` or `postgres`."""
        _, recorded = read_run_file(self.home / "run" / "engines.processes.json")
        return next(entry for entry in recorded if entry.name == name)

    def signal_engine(self, name: str, number: signal.Signals) -> None:
        """Send an engine's process a signal; one that is just being started again is waited for."""
        give_up = time.monotonic() + HOPELESS_SECONDS
        while (process := self.engine(name).process()) is None and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)
        if process is not None:
            process.send_signal(number)

    def dsn(self, database: str) -> str:
        """Return the address of a database for asyncpg: of `postgres`, or of a service's store."""
        url = make_url(self.system.engines.database_url.replace("{service}", database))
        if database == "postgres":
            url = url.set(database=database)
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    def _timed(self, child: Child) -> None:
        begun = time.monotonic()
        os.kill(child.pid, signal.SIGTERM)
        os.kill(child.pid, signal.SIGCONT)
        self._gone(lambda: child.exit_code() is not None, child.pid, begun)

    def _gone(self, ended: Callable[[], bool], pid: int, begun: float) -> None:
        while not ended() and time.monotonic() < begun + HOPELESS_SECONDS:
            time.sleep(LOOK_SECONDS)
        self.exits.append(time.monotonic() - begun)
        if not ended():
            os.kill(pid, signal.SIGKILL)


@contextmanager
def targeted(system: System, home: Path, *, extra_workers: bool) -> Iterator[Target]:
    """Give the target; stop every extra worker at the end.

    With `extra_workers` each service has more workers throughout: there is always somebody to kill.
    """
    with Children(home / "run", group="extra") as children, ExitStack() as resources:
        target = Target(system, home, children, resources=resources)
        for service, number in EXTRA_WORKERS.items() if extra_workers else ():
            for _ in range(number):
                child = target.join(service)
                target.extra[child.name] = child
        yield target
