"""Files that are fetched once and kept: completely or not at all, and anew when their pin has changed."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path


@dataclass(frozen=True)
class Fetched:
    """Files kept in `folder`. `pinned_by` is the file that pins their contents."""

    folder: Path
    pinned_by: Path

    @property
    def files(self) -> Path:
        """The directory of what was fetched."""
        return self.folder / "files"

    def is_complete(self) -> bool:
        """Return whether all of exactly this pin is there."""
        stamp = self.folder / "stamp"
        return stamp.exists() and stamp.read_text(encoding="utf-8") == self._pin()

    def ensure(self, fill: Callable[[Path], None]) -> Path:
        """Return `files`; where they are not complete, `fill` puts them into the empty directory it is given.

        Processes that start at the same time share what the first one fetches. What `fill` raises passes
        through, and nothing of that attempt is kept.
        """
        with self._alone():
            if not self.is_complete():
                self._fetch(fill)
        return self.files

    def _fetch(self, fill: Callable[[Path], None]) -> None:
        draft = self.folder / "files.new"
        for old in (draft, self.files):
            shutil.rmtree(old, ignore_errors=True)
        draft.mkdir()
        try:
            fill(draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        draft.replace(self.files)
        (self.folder / "stamp").write_text(self._pin(), encoding="utf-8")

    def _pin(self) -> str:
        return hashlib.sha256(self.pinned_by.read_bytes()).hexdigest()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            flock(lock, LOCK_EX)
            yield
