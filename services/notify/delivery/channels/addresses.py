"""Where somebody's emails and texts go. Addresses stay here: they are in no event, table, log or metric."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Contact:
    """How one person or shared inbox is reached."""

    email: str | None = None
    phone: str | None = None


NOWHERE = Contact()


class AddressBook:
    """The council's list of its own people: a CSV file `recipient_id,email,phone`, read when it changes.

    Without a file, or without a line in it, an email goes to the id at the mail domain and a text nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._known: Mapping[str, Contact] = {}

    def of(self, recipient_id: str) -> Contact:
        """Return what is known of somebody. If the file cannot be read, what was known before stays."""
        if self._file is not None:
            self._refresh(self._file)
        return self._known.get(recipient_id, NOWHERE)

    def _refresh(self, file: Path) -> None:
        try:
            state = file.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if stamp == self._stamp:
                return
            with file.open(encoding="utf-8", newline="") as lines:
                self._known = {
                    row["recipient_id"]: Contact(row.get("email") or None, row.get("phone") or None)
                    for row in csv.DictReader(lines)
                }
            self._stamp = stamp
        except (OSError, ValueError, KeyError, csv.Error) as error:
            # Its lines are personal: none of their content is logged.
            log.error("the directory cannot be read", error=type(error).__name__)
