"""Where somebody is reached: the council's own list, read again when it changes."""

import os
from pathlib import Path

import pytest

from services.notify.delivery.channels.addresses import NOWHERE, AddressBook, Contact

LINES = "recipient_id,email,phone\nW-1,w.one@council.example,07700900001\nW-2,,\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "people.csv"
    written.write_text(LINES)
    return written


def test_list_says_how_somebody_is_reached(file: Path) -> None:
    """What it does not say is unknown, not empty."""
    book = AddressBook(file)
    assert book.of("W-1") == Contact("w.one@council.example", "07700900001")
    assert book.of("W-2") == book.of("W-3") == NOWHERE


def test_without_a_list_nobody_has_a_number() -> None:
    """Emails then go to the id at the mail domain."""
    assert AddressBook(None).of("W-1") == NOWHERE


def test_new_number_counts_without_a_restart(file: Path) -> None:
    """The file is read again when it has changed."""
    book = AddressBook(file)
    book.of("W-1")
    file.write_text(LINES.replace("07700900001", "07700900111"))
    os.utime(file, ns=(1, 1))
    assert book.of("W-1").phone == "07700900111"


def test_list_that_cannot_be_read_leaves_what_was_known(file: Path) -> None:
    """A moment without the file, or half of it, takes nobody's alerts away."""
    book = AddressBook(file)
    book.of("W-1")
    file.write_bytes(b"\xff\xfe\x00broken")
    assert book.of("W-1").phone == "07700900001"
    file.unlink()
    assert book.of("W-1").phone == "07700900001"
