"""A full disk under a service's tables: a small file system of their own on which no byte is left.

    with own_disk(home / "engines" / "postgres" / "data") as disk:      # blocks; no loop needed
        async with on_disk(dsn_of_the_store, disk):                     # its journal and inbox move there
            disk.fill()      # the next page that a table needs: ENOSPC, in PostgreSQL's words 53100
            disk.heal()

The server and its log stay where they are: a full disk under the log alone would stop the whole server.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]  # ships no types

ROOMY_BYTES = 8 << 30
"""What nobody fills by writing. It is memory only as far as it is used."""

PAGE_BYTES = 4096
TRIES = 50
"""Tables grow while we measure how large they are."""

TABLES = ("journal", "inbox")
"""Every batch writes to both, and neither has room that it could use again."""

TABLESPACE = "small_disk"
MOVE = "ALTER TABLE {table} SET TABLESPACE {to}"
PREFIX = "leadline-disk-"
LOCK_SECONDS = 5
"""How long a table is waited for at a time; whoever uses it goes on in between."""


class NoSmallDiskError(Exception):
    """This machine lets us make no file system; the sentence says what it would take."""


@dataclass(frozen=True)
class Disk:
    """A mounted file system in memory whose size can change."""

    path: Path

    def fill(self) -> None:
        """Leave no free page: whatever wants one gets ENOSPC, as on every full disk."""
        for _ in range(TRIES):
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            # A size of nothing would mean: no limit.
            if self._resized(max(used, PAGE_BYTES)):
                return
        message = f"{self.path} grew faster than it could be limited"
        raise NoSmallDiskError(message)

    def heal(self) -> None:
        """Give plenty of room again."""
        if not self._resized(ROOMY_BYTES):
            message = f"{self.path} could not be enlarged"
            raise NoSmallDiskError(message)

    @property
    def free_bytes(self) -> int:
        """Return how much more it takes."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def _resized(self, size: int) -> bool:
        return _privileged("mount", "-o", f"remount,size={size}", str(self.path)) == ""


@contextmanager
def own_disk(data: Path) -> Iterator[Disk]:
    """Mount a disk for the tables of the server whose data directory is `data`; unmount it at the end.

    Raises NoSmallDiskError where this user may not mount.
    """
    _unmount_what_the_dead_left()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        path, owner = Path(folder) / "disk", data.stat()
        path.parent.chmod(0o755)  # the server may be another user: it passes through
        path.mkdir()
        options = f"size={ROOMY_BYTES},uid={owner.st_uid},gid={owner.st_gid},mode=0700"
        if refusal := _privileged("mount", "-t", "tmpfs", "-o", options, "leadline-disk", str(path)):
            message = (
                "No file system of its own could be mounted for the full disk "
                f"({refusal}): run as root, or let `sudo -n mount` pass."
            )
            raise NoSmallDiskError(message)
        try:
            yield Disk(path)
        finally:
            # At once for us; for a server that still has a file open, when it closes it.
            _privileged("umount", "--lazy", str(path))


@asynccontextmanager
async def on_disk(dsn: str, disk: Disk, tables: Sequence[str] = TABLES) -> AsyncIterator[None]:
    """Move a store's tables to the disk, while it is used; back again at the end, which heals the disk.

    `dsn` is the store's address for asyncpg, of an administrator.
    """
    await _execute(dsn, f"CREATE TABLESPACE {TABLESPACE} LOCATION '{disk.path}'")
    try:
        await _move(dsn, tables, TABLESPACE)
        yield
    finally:
        disk.heal()
        await _move(dsn, tables, "pg_default")
        await _execute(dsn, f"DROP TABLESPACE {TABLESPACE}")


async def _move(dsn: str, tables: Sequence[str], to: str) -> None:
    # One table, one transaction: whoever holds one lock and waits for no other is in nobody's way for long.
    for table in tables:
        for attempt in range(TRIES):
            try:
                await _execute(dsn, MOVE.format(table=table, to=to))
            except asyncpg.LockNotAvailableError:
                if attempt == TRIES - 1:
                    raise
            else:
                break


async def _execute(dsn: str, statement: str) -> None:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(
        dsn, server_settings={"lock_timeout": f"{LOCK_SECONDS}s"}
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _unmount_what_the_dead_left() -> None:
    """Free the memory of disks whose runs were killed; their directories' names tell whose they were."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            _privileged("umount", "--lazy", str(folder / "disk"))
            shutil.rmtree(folder, ignore_errors=True)


def _privileged(*command: str) -> str:
    """Run a command as root; return why it failed, or nothing."""
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    try:
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")
