"""Errors by what happens next: park, retry, or tell the caller."""

from typing import Literal

Reason = Literal["malformed", "unknown_type", "unknown_version", "too_large", "rejected", "failed"]


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
