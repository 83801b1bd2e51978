"""What `make chaos` breaks on purpose: each mutation changes just what its name says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from sqlalchemy import TextClause

from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.postgres.connection import Connection, Rows
from services.kernel.store import inbox, journal
from services.kernel.store.journal import JournalEntry
from tests.chaos.choice import choose
from tests.chaos.inside import named
from tests.chaos.mutations import (
    MUTATIONS,
    claim_disabled,
    offsets_before_commit,
    published_before_commit,
)

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


class Told(Connection):
    """A connection that notes what it is told, and answers with the same row to everything."""

    def __init__(self, *row: object) -> None:
        self.statements: list[str] = []
        self._row = row

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Note the statement."""
        self.statements.append(statement.text)
        return Rows([self._row] if self._row else [])


def test_each_mutation_can_be_put_inside_a_process() -> None:
    """The names lead to functions."""
    assert [function.__name__ for function in named(",".join(MUTATIONS.values()))] == ["apply"] * 3


@pytest.mark.parametrize("name", ["mutations.nothing:apply", "mutations.claim_disabled:nothing"])
def test_what_is_not_there_cannot_be_put_inside(name: str) -> None:
    """A process that ran on without it would let a run pass that proved nothing."""
    with pytest.raises((ImportError, AttributeError)):
        named(name)


def test_a_mutation_comes_with_the_storm_that_shows_it() -> None:
    """Unless another one is named; a run that breaks nothing on purpose stays as it was."""
    chosen = choose(["--mutation", "claim_disabled"])
    assert (chosen.storm, chosen.put_inside[-1]) == ("kill", "mutations.claim_disabled:apply")
    assert choose(["--mutation", "claim_disabled", "--storm", "deploy"]).storm == "deploy"
    assert (choose([]).storm, choose([]).mutation) == (None, None)


async def test_without_the_claim_every_record_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the table says that it has all of them."""
    ids = [UUID(int=1), UUID(int=2)]
    monkeypatch.setattr(inbox, "claim", inbox.claim)
    assert await inbox.claim(Told(), ids, now=NOW) == set()
    claim_disabled.apply()
    assert await inbox.claim(Told(), ids, now=NOW) == set(ids)


async def test_offsets_are_acknowledged_before_the_batch_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being settled when the process dies is never read again."""
    seen: list[object] = []
    place = TopicPartition("referral-events", 0)

    async def deliver(_: object) -> None:
        seen.append("settled")

    intake = BatchConsumer[Any](topics=[], group="g", bootstrap="", prepare=lambda _: None, deliver=deliver)

    async def commit() -> None:
        seen.append(dict(intake._to_commit))

    monkeypatch.setattr(intake, "_commit", commit)
    monkeypatch.setattr(BatchConsumer, "_finish", BatchConsumer._finish)
    offsets_before_commit.apply()
    await intake._finish(None, {place: [SimpleNamespace(offset=4)]})
    assert seen == [{place: 5}, "settled"]


async def test_events_are_published_while_their_transaction_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are in the journal, and nothing is left for the relay."""
    connection = Told("leadline_referral")
    sent: list[tuple[str, bytes]] = []

    class Publisher:
        def __init__(self, _settings: object, topic: str) -> None:
            self._topic = topic

        async def __aenter__(self) -> Self:
            return self

        async def publish(self, messages: list[tuple[bytes, bytes, object]]) -> None:
            assert not any("journal" in statement for statement in connection.statements)
            sent.extend((self._topic, value) for _, value, _ in messages)

    monkeypatch.setattr(journal, "append", journal.append)
    monkeypatch.setattr(journal, "APPEND", journal.APPEND)
    monkeypatch.setattr(published_before_commit, "Publisher", Publisher)
    published_before_commit.apply()
    one = UUID(int=1)
    await journal.append(
        connection, [JournalEntry(one, "referral.closed.v1", one, 1, one, one, one, "{}")], now=NOW
    )
    assert sent == [("referral-events", b"{}")]
    assert "INSERT INTO journal" in connection.statements[-1]
    assert "outbox (position)" not in connection.statements[-1]
