"""The kernel's statements on the database in memory: each known by its text, written out in Python."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause

from services.kernel.postgres.connection import _compiled
from services.kernel.store import dead_letters, deadlines, inbox, journal, relaying
from tests.simulation.database import Row, Transaction, Values

Parameters = Mapping[str, Any]
Run = Callable[[Transaction, Parameters], Awaitable[list[Row]]]


@dataclass(frozen=True)
class Statement:
    """One statement: its name in traces, its parameters in order, and what it does."""

    name: str
    names: tuple[str, ...]
    run: Run
    changes: bool


KNOWN: dict[str, Statement] = {}
"""By the text that reaches the driver."""


def known(query: str) -> Statement:
    """Return the statement of a text. LookupError for one that nobody wrote out."""
    if query not in KNOWN:
        message = f"a statement that the simulation does not know: {' '.join(query.split())[:80]}"
        raise LookupError(message)
    return KNOWN[query]


def means(statement: TextClause | str, name: str, *names: str, changes: bool = True) -> Callable[[Run], Run]:
    """Say what a statement of the kernel means here. `names` for one that is written for the driver."""

    def register(run: Run) -> Run:
        if isinstance(statement, str):
            KNOWN[statement] = Statement(name, names, run, changes)
        else:
            query, order = _compiled(statement.text)
            KNOWN[query] = Statement(name, order, run, changes)
        return run

    return register


def _records(given: Parameters, columns: Iterable[str]) -> list[Values]:
    """Return the rows that the arrays of these columns stand for, as `unnest` does."""
    names = list(columns)
    return [
        dict(zip(names, values, strict=True)) for values in zip(*(given[name] for name in names), strict=True)
    ]


@means(inbox.CLAIM, "claim")
async def _claim(transaction: Transaction, given: Parameters) -> list[Row]:
    received = {"received_at": given["received_at"]}
    return [
        Row.of(message_id=message_id)
        for message_id in sorted(set(given["message_id"]))
        if await transaction.insert("inbox", message_id, received)
    ]


@means(journal.APPEND, "append")
async def _append(transaction: Transaction, given: Parameters) -> list[Row]:
    for entry in _records(given, journal.COLUMNS):
        position = transaction.database.next_of("journal")
        number = (entry["subject"], entry["sequence"])
        await transaction.insert("journal numbers", number, {"position": position}, unique=True)
        await transaction.insert("journal", position, {**entry, "time": given["time"]})
        await transaction.insert("outbox", position, {}, unique=True)
    transaction.notify(journal.OUTBOX_CHANNEL)
    return [Row.of(pg_notify="")]


@means(relaying.PENDING_PAST_HELD_UP, "pending", "limit", changes=False)
async def _pending_past_held_up(transaction: Transaction, given: Parameters) -> list[Row]:
    held_up = {row["key"] for _, row in transaction.rows("refused events")}
    positions = [
        position
        for position, _ in transaction.rows("outbox")
        if (entry := transaction.get("journal", position)) is not None and entry["key"] not in held_up
    ]
    return _entries(transaction, sorted(positions)[: given["limit"]])  # type: ignore[type-var]


@means(relaying.PENDING, "pending", "limit", changes=False)
async def _pending(transaction: Transaction, given: Parameters) -> list[Row]:
    positions = sorted(position for position, _ in transaction.rows("outbox"))[: given["limit"]]  # type: ignore[type-var]
    return _entries(transaction, positions)


def _entries(transaction: Transaction, positions: Iterable[Hashable]) -> list[Row]:
    rows = []
    for position in positions:
        entry = transaction.get("journal", position)
        if entry is not None:
            ids = {name: str(entry[name]) for name in ("event_id", "subject", "key")}
            causes = {name: str(entry[name]) for name in ("correlation_id", "causation_id")}
            rows.append(
                Row.of(
                    position=position,
                    event_id=ids["event_id"],
                    type=entry["type"],
                    subject=ids["subject"],
                    sequence=entry["sequence"],
                    key=ids["key"],
                    time=entry["time"],
                    **causes,
                    data=entry["data"],
                )
            )
    return rows


@means(relaying.SENT, "sent", "positions", "topic", "cluster_id", "partition", "end")
async def _sent(transaction: Transaction, given: Parameters) -> list[Row]:
    for position in given["positions"]:
        await transaction.lock("outbox", position)
        transaction.put("outbox", position, None)
    for mark in _records(given, ("partition", "end")):
        key = (given["topic"], mark["partition"])
        await transaction.lock("marks", key)
        row = {"cluster_id": given["cluster_id"], "end_offset": mark["end"]}
        transaction.put("marks", key, row)
    return []


@means(relaying.HELD_UP, "count what is held up", changes=False)
async def _held_up(transaction: Transaction, given: Parameters) -> list[Row]:
    pending = [position for position, _ in transaction.rows("outbox")]
    orphans = sum(transaction.get("journal", position) is None for position in pending)
    return [Row.of(orphans=orphans, refused=sum(1 for _ in transaction.rows("refused events")))]


@means(relaying.REFUSE, "refuse", "position", "key", "reason", "time", *journal.JournalEntry._fields[:5],
       "correlation_id", "causation_id", "data")  # fmt: skip
async def _refuse(transaction: Transaction, given: Parameters) -> list[Row]:
    raise NotImplementedError  # the broker in memory takes every event


@means("SELECT count(*) FROM outbox", "count pending", changes=False)
async def _count_pending(transaction: Transaction, given: Parameters) -> list[Row]:
    return [Row.of(count=sum(1 for _ in transaction.rows("outbox")))]


@means(
    "SELECT partition, cluster_id, end_offset FROM bus_marks WHERE topic = $1",
    "marks",
    "topic",
    changes=False,
)
async def _marks(transaction: Transaction, given: Parameters) -> list[Row]:
    return [
        Row.of(partition=key[1], **row)  # type: ignore[index]  # a pair
        for key, row in transaction.rows("marks")
        if key[0] == given["topic"]  # type: ignore[index]
    ]


@means("DELETE FROM bus_marks WHERE topic = $1", "forget marks", "topic")
async def _forget_marks(transaction: Transaction, given: Parameters) -> list[Row]:
    for row in await _marks(transaction, given):
        key = (given["topic"], row["partition"])
        await transaction.lock("marks", key)
        transaction.put("marks", key, None)
    return []


@means(
    "INSERT INTO outbox (position) SELECT position FROM journal ORDER BY position ON CONFLICT DO NOTHING",
    "requeue",
)
async def _requeue(transaction: Transaction, given: Parameters) -> list[Row]:
    positions = sorted(position for position, _ in transaction.rows("journal"))  # type: ignore[type-var]
    return [
        Row.of(position=position)
        for position in positions
        if await transaction.insert("outbox", position, {})
    ]


def _deadline(row: Values) -> Row:
    return Row.of(**{column: row[column] for column in deadlines.COLUMNS})


@means(deadlines.LOAD, "load deadlines")
async def _load_deadlines(transaction: Transaction, given: Parameters) -> list[Row]:
    found = []
    wanted = set(given["ids"])
    for deadline_id in sorted(key for key, _ in transaction.rows("deadlines") if key in wanted):  # type: ignore[type-var]
        await transaction.lock("deadlines", deadline_id)
        row = transaction.get("deadlines", deadline_id)
        if row is not None:
            found.append(_deadline(row))
    return found


@means(deadlines.CLAIM_DUE, "claim due")
async def _claim_due(transaction: Transaction, given: Parameters) -> list[Row]:
    now, limit = given["now"], given["limit"]
    due = [
        (row["next_at"], key)
        for key, row in transaction.rows("deadlines")
        if row["next_at"] is not None and row["next_at"] <= now and transaction.is_free("deadlines", key)
    ]
    claimed = []
    for _, key in sorted(due)[:limit]:
        await transaction.lock("deadlines", key)  # free, so this does not wait
        row = transaction.get("deadlines", key)
        assert row is not None
        claimed.append(_deadline(row))
    return claimed


@means(deadlines.SAVE, "save deadlines")
async def _save_deadlines(transaction: Transaction, given: Parameters) -> list[Row]:
    for row in _records(given, (*deadlines.COLUMNS, *deadlines.NEXT)):
        key = row["deadline_id"]
        await transaction.lock("deadlines", key)
        before = transaction.get("deadlines", key)
        kept = {} if before is None else {name: before[name] for name in ("about", "child_id", "kind")}
        transaction.put("deadlines", key, {**row, **kept})
    return []


@means(deadlines.SAVE_RAISED, "save raised")
async def _save_raised(transaction: Transaction, given: Parameters) -> list[Row]:
    for raised in _records(given, deadlines.RAISED):
        key = raised["deadline_id"]
        if transaction.get("deadlines", key) is None:
            continue
        await transaction.lock("deadlines", key)
        row = transaction.get("deadlines", key)
        if row is not None:
            transaction.put("deadlines", key, {**row, **raised})
    return []


LETTER = (*dead_letters.LETTER, *dead_letters.RECORD)
OPEN = {"parked", "waiting"}


def _letter(row: Values) -> Row:
    return Row.of(**{column: row[column] for column in (*LETTER, "attempts", "parked_at", "arrived")})


def _in_order(transaction: Transaction) -> list[Values]:
    return sorted((row for _, row in transaction.rows("letters")), key=lambda row: row["arrived"])


@means(dead_letters.PARK, "park")
async def _park(transaction: Transaction, given: Parameters) -> list[Row]:
    parked = []
    for letter in _records(given, LETTER):
        arrived = transaction.database.next_of("letters")
        row = {**letter, "arrived": arrived, "attempts": 1, "parked_at": given["now"]}
        if await transaction.insert("letters", letter["dead_letter_id"], row):
            parked.append(Row.of(dead_letter_id=letter["dead_letter_id"]))
    return parked


@means(dead_letters.BLOCKED, "blocked")
async def _blocked(transaction: Transaction, given: Parameters) -> list[Row]:
    wanted = set(given["keys"])
    found = []
    for row in _in_order(transaction):
        if row["state"] in OPEN and row["key"] in wanted:
            await transaction.lock("letters", row["dead_letter_id"], shared=True)
            now = transaction.get("letters", row["dead_letter_id"])
            if now is not None and now["state"] in OPEN:
                found.append(Row.of(key=now["key"]))
    return found


@means(dead_letters.LIST, "list letters", changes=False)
async def _list_letters(transaction: Transaction, given: Parameters) -> list[Row]:
    states = given["states"]
    rows = [
        row
        for row in _in_order(transaction)
        if (states is None or row["state"] in states) and row["arrived"] > given["after"]
    ]
    return [_letter(row) for row in rows[: given["limit"]]]


@means(dead_letters.GET, "get letter")
async def _get_letter(transaction: Transaction, given: Parameters) -> list[Row]:
    if transaction.get("letters", given["id"]) is None:
        return []
    await transaction.lock("letters", given["id"])
    row = transaction.get("letters", given["id"])
    return [] if row is None else [_letter(row)]


@means(dead_letters.BEHIND, "waiting behind")
async def _behind(transaction: Transaction, given: Parameters) -> list[Row]:
    of_the_case = [row for row in _in_order(transaction) if row["key"] == given["key"]]
    first = min((row["arrived"] for row in of_the_case if row["state"] == "parked"), default=None)
    behind = [
        row for row in of_the_case if row["state"] == "waiting" and (first is None or row["arrived"] < first)
    ]
    found = []
    for row in behind:
        await transaction.lock("letters", row["dead_letter_id"])
        now = transaction.get("letters", row["dead_letter_id"])
        if now is not None and now["state"] == "waiting":
            found.append(_letter(now))
    return found


@means(dead_letters.SETTLE, "settle")
async def _settle(transaction: Transaction, given: Parameters) -> list[Row]:
    await transaction.lock("letters", given["id"])
    row = transaction.get("letters", given["id"])
    if row is not None:
        settled = {"state": given["state"], "settled_at": given["now"], "settled_by": given["by"]}
        transaction.put("letters", given["id"], {**row, **settled})
    return []


@means(dead_letters.FAILED_SINCE, "failed since", changes=False)
async def _failed_since(transaction: Transaction, given: Parameters) -> list[Row]:
    failures = [
        Row.of(**{column: row[column] for column in ("topic", "key", "words", "handled_before")})
        for row in reversed(_in_order(transaction))
        if (row["state"], row["reason"]) == ("parked", "failed")
        and row["handled_before"] is not None
        and row["parked_at"] > given["since"]
    ]
    return failures[: given["limit"]]


@means(dead_letters.FAILED_AGAIN, "failed again")
async def _failed_again(transaction: Transaction, given: Parameters) -> list[Row]:
    await transaction.lock("letters", given["id"])
    row = transaction.get("letters", given["id"])
    if row is not None:
        words = {name: given[name] for name in ("reason", "words", "traceback")}
        again = {"state": "parked", "attempts": row["attempts"] + 1, **words}
        transaction.put("letters", given["id"], {**row, **again})
    return []
