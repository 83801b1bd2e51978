"""Children never outlive their owner; a program that dies is started again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from deploy.embedded.errors import AlreadyRunningError, EngineError
from deploy.embedded.processes import (
    Children,
    Recorded,
    Spec,
    living,
    start_time,
    stop_leftovers,
    stop_processes,
)
from deploy.embedded.running import announce, find_running, sole_owner, withdraw
from deploy.embedded.supervisor import Program, Supervisor, exit_on_signals

ROOT = Path(__file__).parents[2]
SLEEPER = (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")
IGNORE = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)
STUBBORN = (sys.executable, "-c", IGNORE)


def until(true: Callable[[], bool], *, within: float = 20.0) -> None:
    """Poll until `true()`, or fail."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def has_restarted(supervisor: Supervisor, *, beyond: int) -> bool:
    """Return whether `w` runs again after more restarts than that."""
    return supervisor.restarts("w") > beyond and supervisor.is_running("w")


def is_up(log: Path) -> bool:
    """Whether the program with this log has come as far as its first line."""
    return log.exists() and "up" in log.read_text()


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A run directory whose leftovers are stopped after the test, whatever the test did."""
    yield tmp_path / "run"
    stop_leftovers(tmp_path / "run")


class TestChildren:
    """`Children`."""

    def test_the_end_of_the_block_stops_every_child(self, run_dir: Path, tmp_path: Path) -> None:
        """Also when the block ends with an exception; the run file is gone with them."""
        with (  # noqa: PT012 - the block is what is tested
            pytest.raises(ZeroDivisionError),
            Children(run_dir, group="g") as children,
        ):
            children.spawn(Spec("a", SLEEPER, tmp_path / "a.log"))
            pids = [children.spawn(Spec("b", SLEEPER, tmp_path / "b.log")).pid]
            _ = 1 / 0
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert not list(run_dir.glob("*.json"))

    def test_a_child_is_on_record_from_the_moment_it_runs(self, run_dir: Path, tmp_path: Path) -> None:
        """Name, pid and start time, under the owner's pid."""
        with Children(run_dir, group="g") as children:
            child = children.spawn(Spec("a", SLEEPER, tmp_path / "a.log", stop_signal=signal.SIGINT))
            content = json.loads((run_dir / "g.processes.json").read_text())
        assert content["owner"] == os.getpid()
        assert [(p["name"], p["pid"], p["stop_signal"]) for p in content["processes"]] == [
            ("a", child.pid, 2)
        ]

    def test_a_child_that_ignores_the_request_is_killed(self, run_dir: Path, tmp_path: Path) -> None:
        """After the time it was given."""
        with Children(run_dir, group="g") as children:
            child = children.spawn(Spec("a", STUBBORN, tmp_path / "a.log"))
            until(lambda: is_up(tmp_path / "a.log"))
            stop_processes([child.recorded], within=0.2)
            until(lambda: child.exit_code() == -signal.SIGKILL)

    def test_ctrl_c_in_the_terminal_does_not_reach_the_children(self, run_dir: Path, tmp_path: Path) -> None:
        """Each leads its own session; the owner stops them in order."""
        with Children(run_dir, group="g") as children:
            child = children.spawn(Spec("a", SLEEPER, tmp_path / "a.log"))
            assert os.getsid(child.pid) == child.pid


class TestOwnersDeath:
    """What happens to the children of an owner that dies without warning."""

    OWNER = """
import signal, sys
from pathlib import Path
from deploy.embedded.processes import Children, Spec
sleeper = (sys.executable, "-c", "import signal; signal.pause()")
with Children(Path(sys.argv[1]), group="g") as children:
    child = children.spawn(Spec("a", sleeper, Path(sys.argv[2])))
    print(child.pid, children._watchdog.pid, flush=True)
    signal.pause()
"""

    @pytest.fixture
    def owner(self, run_dir: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
        """An owner with one child: the owner's process, the child's pid, the watchdog's pid."""
        argv = [sys.executable, "-c", self.OWNER, str(run_dir), str(tmp_path / "log")]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            child, watchdog = map(int, process.stdout.readline().split())
            yield process, child, watchdog
            process.kill()

    def test_the_watchdog_stops_the_children_of_a_killed_owner(
        self, owner: tuple[subprocess.Popen[str], int, int], run_dir: Path
    ) -> None:
        """kill -9 gives the owner no chance; the child ends all the same, and so does the watchdog."""
        process, child, watchdog = owner
        created = start_time(child), start_time(watchdog)
        process.kill()
        until(lambda: living(child, created[0]) is None)
        until(lambda: living(watchdog, created[1]) is None)
        until(lambda: not list(run_dir.glob("*.processes.json")))

    def test_the_next_start_stops_what_even_the_watchdog_could_not(
        self, owner: tuple[subprocess.Popen[str], int, int], run_dir: Path
    ) -> None:
        """Owner and watchdog are killed; the run file still names the child."""
        process, child, watchdog = owner
        created = start_time(child)
        os.kill(watchdog, signal.SIGKILL)
        until(lambda: living(watchdog, start_time(watchdog)) is None)
        process.kill()
        process.wait()
        assert living(child, created) is not None
        assert stop_leftovers(run_dir) == ("a",)
        assert living(child, created) is None


def test_a_pid_that_now_belongs_to_somebody_else_is_never_touched() -> None:
    """Same pid, other start time: not the process that was recorded."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL) as stranger:
        stop_processes([Recorded("a", stranger.pid, start_time(stranger.pid) - 3600)], within=0.1)
        assert stranger.poll() is None
        stranger.kill()


def test_a_run_file_that_was_cut_short_does_no_harm(run_dir: Path) -> None:
    """There is nothing to stop in it; it is removed."""
    run_dir.mkdir()
    (run_dir / "g.processes.json").write_text('{"owner": 1, "proc')
    assert stop_leftovers(run_dir) == ()
    assert not list(run_dir.iterdir())


class TestSupervisor:
    """`Supervisor`."""

    def test_a_program_that_dies_is_started_again(self, tmp_path: Path) -> None:
        """A new process under the same name; the restart is counted."""
        with Supervisor([Program("w", SLEEPER), Program("x", SLEEPER)], tmp_path / "log") as supervisor:
            bystander = supervisor.pid("x")
            killed = supervisor.kill("w")
            until(lambda: supervisor.restarts("w") == 1 and supervisor.is_running("w"))
            assert supervisor.pid("w") != killed
            assert (supervisor.pid("x"), supervisor.restarts("x")) == (bystander, 0)

    def test_a_program_that_cannot_stay_up_is_tried_ever_less_often(self, tmp_path: Path) -> None:
        """The pauses double: three restarts take at least 0.25 + 0.5 + 1 seconds."""
        begun = time.monotonic()
        with Supervisor([Program("w", (sys.executable, "-c", ""))], tmp_path / "log") as supervisor:
            until(lambda: supervisor.restarts("w") == 3)
        assert time.monotonic() - begun >= 1.75

    def test_a_program_that_is_told_to_end_is_started_again_soon_however_often(self, tmp_path: Path) -> None:
        """It has not failed: were the pauses to double, five restarts would take 7.75 seconds at least."""
        begun = time.monotonic()
        with Supervisor([Program("w", SLEEPER)], tmp_path / "log") as supervisor:
            for restarts in range(5):
                supervisor.kill("w")
                until(partial(has_restarted, supervisor, beyond=restarts))
        assert time.monotonic() - begun < 7.0

    def test_stopping_leaves_nothing_and_starts_nothing_again(self, tmp_path: Path) -> None:
        """Also for a program that was dead and waiting for its restart."""
        supervisor = Supervisor([Program("w", SLEEPER), Program("x", SLEEPER)], tmp_path / "log")
        with supervisor:
            pids = [supervisor.kill("w"), supervisor.pid("x")]
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert not supervisor.is_running("w")
        assert not list((tmp_path / "run").glob("*.processes.json"))

    def test_output_of_each_program_goes_to_its_own_log_and_its_environment_is_added(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The supervisor's own environment is inherited."""
        monkeypatch.setenv("LEADLINE_SEEN", "inherited")
        show = "import os; print(os.environ['LEADLINE_SEEN'], os.environ['MINE'], 'up', flush=True)"
        with Supervisor([Program("w", (sys.executable, "-c", show), {"MINE": "added"})], tmp_path / "log"):
            until(lambda: is_up(tmp_path / "log" / "w.log"))
        assert (tmp_path / "log" / "w.log").read_text().startswith("inherited added up")

    def test_readiness_is_what_the_program_says_it_is(self, tmp_path: Path) -> None:
        """`wait_ready` returns once every probe is true."""
        log = tmp_path / "log" / "w.log"
        with Supervisor([Program("w", SLEEPER, ready=lambda: is_up(log))], tmp_path / "log") as supervisor:
            supervisor.wait_ready(within=20)
            assert is_up(log)

    def test_a_program_that_never_gets_ready_is_named_with_its_log(self, tmp_path: Path) -> None:
        """One sentence."""
        never = Program("w", SLEEPER, ready=lambda: False)
        with (
            Supervisor([never], tmp_path / "log") as supervisor,
            pytest.raises(EngineError, match=r"w is not ready after 0 seconds: look into .*w\.log"),
        ):
            supervisor.wait_ready(within=0.1)

    def test_a_program_that_is_not_there_leaves_none_of_the_others_running(self, tmp_path: Path) -> None:
        """The start fails with one sentence and cleans up after itself."""
        programs = [Program("w", SLEEPER), Program("x", (str(tmp_path / "absent"),))]
        with pytest.raises(EngineError, match="x cannot be started"):
            Supervisor(programs, tmp_path / "log").start()
        assert not list((tmp_path / "run").glob("*.processes.json"))


class TestOwnership:
    """`sole_owner`, `announce`, `find_running`."""

    def test_a_second_start_in_the_same_directory_is_told_who_runs_there(self, tmp_path: Path) -> None:
        """One sentence with the pid."""
        with (
            sole_owner(tmp_path),
            pytest.raises(
                AlreadyRunningError, match=rf"already runs from this checkout \(process {os.getpid()}\)"
            ),
            sole_owner(tmp_path),
        ):
            pass

    def test_a_directory_is_free_again_after_its_owner(self, tmp_path: Path) -> None:
        """The lock goes with the block, also after an exception."""
        with contextlib.suppress(ZeroDivisionError), sole_owner(tmp_path):
            _ = 1 / 0
        with sole_owner(tmp_path) as run_dir:
            assert run_dir == tmp_path / "run"

    def test_the_announced_system_is_found_until_it_is_withdrawn(self, tmp_path: Path) -> None:
        """With all that was told."""
        announce(tmp_path, {"site": "http://127.0.0.1:8000"})
        found = find_running(tmp_path)
        assert found is not None
        assert (found["site"], found["pid"]) == ("http://127.0.0.1:8000", os.getpid())
        withdraw(tmp_path)
        assert find_running(tmp_path) is None

    def test_a_system_whose_process_died_is_not_found(self, tmp_path: Path) -> None:
        """What a kill -9 left behind tells nothing."""
        code = "from deploy.embedded.running import announce; from pathlib import Path"
        code += f"; announce(Path({str(tmp_path)!r}), {{}})"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        assert (tmp_path / "run" / "system.json").exists()
        assert find_running(tmp_path) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_runs_what_ctrl_c_would_run(number: signal.Signals) -> None:
    """The blocks are left in order, with the customary exit code; the old handler is back afterwards."""
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught, exit_on_signals():
        signal.raise_signal(number)
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) == before
