"""The outcome of every row: accepted, or refused with a reason that a data officer can act on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that is not imported. The reason names columns and lists but quotes no value of the row."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One file that looks like part of the return but is not read; the reason says what to do."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileCount:
    """How many rows a file has and what became of them: `taken + refused == rows`."""

    file: str
    rows: int
    taken: int
    refused: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of one import. Rows of several files or years may report the same fact."""

    years: str
    """How the years in the files' names were understood, in words."""
    files: Sequence[FileCount]
    refusals: Sequence[Refusal]
    left_out: Sequence[LeftOut]
    """Files that look like part of the return but were not read."""
    not_read: Sequence[str]
    """Files of the return that this import leaves out."""
    published: int
    """Events published; running the import again publishes the same ones."""
    handled: bool
    """Whether the placement service had handled all of them when the import ended."""
    seconds: float

    @property
    def rows(self) -> int:
        """Return how many rows were read."""
        return sum(count.rows for count in self.files)

    @property
    def taken(self) -> int:
        """Return how many rows were imported."""
        return sum(count.taken for count in self.files)

    @property
    def reasons(self) -> Mapping[str, int]:
        """Return how many rows were refused for each reason; the text after a reason's colon is left out."""
        return Counter(refusal.reason.partition(":")[0] for refusal in self.refusals)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return asdict(self) | {"rows": self.rows, "taken": self.taken, "reasons": dict(self.reasons)}
