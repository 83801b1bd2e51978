"""The limit on parking: so many failures that our own code must be at fault, as after a bad deploy. Pure.

Only events of our own services count, each published under one of our rules, and only those on which our code
failed. Partners' events never stop a worker.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from schemas.topics import PARTNER, TOPICS
from services.kernel.base.ending import PartFailed
from services.kernel.store.dead_letters import Letter

LIMIT = 0.2
"""The share that may fail, unless the setting says otherwise."""

CHILDREN = 10
"""The least number of children to judge by: a failure for one child alone may lie in that child's data."""

RECENT = timedelta(days=1)
"""Older failures say nothing about today's code."""

LOOK = 500
"""The most failures that are considered: one child may have many."""

OUR_TOPICS = frozenset(topic.name for topic in TOPICS if topic.owner != PARTNER.owner)
OUR_TYPES = frozenset(wire_type for topic in TOPICS if topic.name in OUR_TOPICS for wire_type in topic.types)


class Failure(NamedTuple):
    """An event of our own services on which our code failed."""

    topic: str
    key: bytes | None
    error: str
    """The type of the exception raised."""
    handled_before: int
    """How many events of our own services were handled since the previous failure, as far as is known."""


class TooManyFailed(PartFailed):
    """Too many events fail: the worker must stop. The message says what fails, how often, and what to do."""


def counts(letter: Letter) -> bool:
    """Return whether a letter exists because our code failed on an event of our own services."""
    return letter.state == "parked" and letter.reason == "failed" and letter.record.topic in OUR_TOPICS


def numbered(
    messages: Iterable[tuple[UUID, str]], letters: Sequence[Letter], *, before: int
) -> tuple[list[Letter], int]:
    """Return a batch's letters, each that counts with the number handled before it, and the number after all.

    `messages` are the ids and topics of the batch in order; `before` is the number handled since the last
    failure of an earlier batch.
    """
    letter_of = {letter.message_id: letter for letter in letters}
    handled = before
    for message_id, topic in messages:
        letter = letter_of.get(message_id)
        if letter is not None and counts(letter):
            letter_of[message_id] = replace(letter, handled_before=handled)
            handled = 0
        elif letter is None and topic in OUR_TOPICS:
            handled += 1
    return list(letter_of.values()), handled


def failures_of(letters: Sequence[Letter]) -> list[Failure]:
    """Return the failures among a batch's numbered letters, the latest first."""
    return [
        Failure(letter.record.topic, letter.record.key, letter.words, letter.handled_before)
        for letter in reversed(letters)
        if letter.handled_before is not None
    ]


def judge(failures: Iterable[Failure], *, handled_after: int, limit: float, service: str) -> None:
    """Raise TooManyFailed when more than the share `limit` of the latest events failed.

    `failures` come latest first; `handled_after` is the number handled after the latest. The events judged go
    back to the failure for the last of `CHILDREN` different children; a child counts once.
    """
    events = handled_after
    children: set[bytes | None] = set()
    topics: set[str] = set()
    errors: Counter[str] = Counter()
    for failure in failures:
        if failure.key not in children:
            children.add(failure.key)
            topics.add(failure.topic)
            errors[failure.error] += 1
            events += 1
        if len(children) == CHILDREN:
            break
        events += failure.handled_before
    if len(children) == CHILDREN and events * limit < CHILDREN:
        raise TooManyFailed(_sentence(events, sorted(topics), errors, service))


def _sentence(events: int, topics: Sequence[str], errors: Counter[str], service: str) -> str:
    kinds = ", ".join(f"{error} {count}" for error, count in errors.most_common())
    return (
        f"The {service} worker stops: its own code failed on {CHILDREN} of the last {events} events of"
        f" {' and '.join(topics)} ({kinds}). Roll back the deploy, then run"
        f" `leadline dead-letters replay --all --service {service}`."
    )
