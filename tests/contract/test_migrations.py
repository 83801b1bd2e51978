"""A migration that stores may have run is history: an edit breaks every store that stands in between."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("migrations.sha256")


def digests() -> dict[str, str]:
    """Return the SHA-256 of every migration, by its path."""
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "services").glob("*/migrations/versions/*.py")
        if path.name != "__init__.py"
    }


def test_no_migration_has_been_edited() -> None:
    """A change of a table is a new migration, and a new line in `migrations.sha256`; no line ever changes."""
    recorded = {}
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        digest, path = line.split()
        recorded[path] = digest
    assert digests() == recorded
