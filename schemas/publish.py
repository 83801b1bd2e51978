"""Freeze the JSON Schemas of a release: `python -m schemas.publish`.

`schemas/json/` follows the models at every commit; `schemas/published/` changes only here, on release. A
fresh clone in CI has no other past than the commit it tests, so the past is kept as files: the contract
test compares every frozen schema with what the models generate now (`schemas.compatibility`), whatever
branch or depth was cloned.

A version is frozen when it is first released. Publishing again adds new versions and takes over new
optional fields; it refuses, and writes nothing, if a frozen version was broken or its event is gone.
`SHA256SUMS` lists every frozen file, so an edit by hand is noticed and shows in review as what it is.
"""

import hashlib
import json
import sys
from pathlib import Path

from schemas.compatibility import Schema, breaking_changes
from schemas.events.base import REGISTRY
from schemas.json_schema import file_name, schema_file

PUBLISHED = Path(__file__).parent / "published"
SUMS = "SHA256SUMS"


def current_schemas() -> dict[str, Schema]:
    """Return the schemas that the models generate now, by file name."""
    return {file_name(event_class): schema_file(event_class) for event_class in REGISTRY.values()}


def frozen_schemas(directory: Path = PUBLISHED) -> dict[str, Schema]:
    """Return the schemas of all published versions, by file name; none before the first release."""
    return {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(directory.glob("*.schema.json"))
    }


def broken_promises(frozen: dict[str, Schema], current: dict[str, Schema]) -> list[str]:
    """Return one sentence for each way in which `current` breaks a frozen version."""
    broken: list[str] = []
    for name, schema in frozen.items():
        if name not in current:
            broken.append(f"{name}: a published version was removed")
            continue
        broken += [f"{name}: {change}" for change in breaking_changes(schema, current[name])]
    return broken


def sums(directory: Path = PUBLISHED) -> str:
    """Return the checksums of the frozen files as they are, in the format of `sha256sum`."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(directory.glob("*.schema.json"))
    )


def altered_by_hand(directory: Path = PUBLISHED) -> bool:
    """Return whether the frozen files differ from their list of checksums."""
    listed = directory / SUMS
    return (listed.read_text(encoding="utf-8") if listed.exists() else "") != sums(directory)


def publish(directory: Path = PUBLISHED) -> list[str]:
    """Freeze every current version and return the reasons for refusing, if any; then nothing is written."""
    current = current_schemas()
    refused = broken_promises(frozen_schemas(directory), current)
    if altered_by_hand(directory):
        refused.append(f"{SUMS}: the frozen files were edited by hand")
    if refused:
        return refused
    directory.mkdir(parents=True, exist_ok=True)
    for name, schema in current.items():
        (directory / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    (directory / SUMS).write_text(sums(directory), encoding="utf-8")
    return []


def main() -> int:
    """Run the command; return the exit code."""
    refused = publish()
    for reason in refused:
        sys.stdout.write(f"schemas/published/{reason}\n")
    if refused:
        sys.stdout.write("Nothing was published: make a new version instead (a class with version=2).\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
