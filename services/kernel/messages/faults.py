"""Errors, classified by what happens next: park, retry, or tell the caller."""

import re
from collections.abc import Iterable
from typing import Literal

Reason = Literal["malformed", "unknown_type", "unknown_version", "too_large", "rejected", "failed"]

FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class InvalidMessage(Exception):  # noqa: N818 - the name says what it is
    """The message can never be handled: park it now. `words` never quote a value of the message."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
        self.words = words


class Refused(Exception):  # noqa: N818 - the name says what it is
    """A command that the rules do not allow; the message tells the caller what to do instead.

    `missing` says that the object of the command does not exist.
    """

    def __init__(self, sentence: str, *, missing: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.missing = missing


def place(steps: Iterable[str | int]) -> str:
    """Return the place of a mistake in a message, its steps joined by dots.

    A sender also chooses the name of an unknown field. A name that could itself be a value, such as a
    person's name, is not shown.
    """
    shown = (str(step) for step in steps)
    return ".".join(step if FIELD_NAME.fullmatch(step) else "(no field's name)" for step in shown)
