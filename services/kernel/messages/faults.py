"""Errors by what happens next: park, retry, or tell the caller."""

import re
from collections.abc import Iterable
from typing import Literal

Reason = Literal["malformed", "unknown_type", "unknown_version", "too_large", "rejected", "failed"]

FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class InvalidMessage(Exception):  # noqa: N818 - the name says what it is
    """The message can never be handled: park it now. The words quote no value of the message."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
        self.words = words


class Refused(Exception):  # noqa: N818 - the name says what it is
    """A command that the rules do not allow; the sentence tells the caller what to do instead.

    `missing` says that what the command speaks of does not exist.
    """

    def __init__(self, sentence: str, *, missing: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.missing = missing


def place(steps: Iterable[str | int]) -> str:
    """Return where in a message a mistake is, its steps joined by dots.

    Whoever sends a field that was not agreed chooses its name, too. One that could itself be a value, a
    person's name for example, is not shown.
    """
    shown = (str(step) for step in steps)
    return ".".join(step if FIELD_NAME.fullmatch(step) else "(no field's name)" for step in shown)
