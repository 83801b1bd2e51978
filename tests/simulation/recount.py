"""The recount: from what partners said alone, what must be in stores and on the bus. No kernel code."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from tests.builders import MONDAY
from tests.simulation.broker import MemoryBroker
from tests.simulation.chain import AT, FROM, KIND, SOON
from tests.simulation.database import Database, Values
from tests.simulation.feed import SOURCE, Said

MESSAGES = UUID("6f1c2f0e-3f6b-5a58-9c53-6f0f7e1f8f10")
"""Namespace of the inbox's ids."""

MAIN = {"referral": "referral.accepted.v1", "assessment": "plan.reviewed.v1"}
"""What each service publishes for each entry."""
ENTRY = {"referral": "agency_id", "assessment": "reviewed_by"}
"""Which field of it names the entry."""

STATES = ("scheduled", "due_soon", "due", "overdue", "met")
"""In the order in which a deadline takes them; it may leave some out."""


@dataclass(frozen=True)
class Fate:
    """What must become of one child's events at one service, each in the order of arrival."""

    handled: Sequence[Said]
    parked: Sequence[Said]
    waiting: Sequence[Said]

    @classmethod
    def of(cls, arrived: Iterable[Said], service: str, *, lets_pass: bool, released: bool) -> "Fate":
        """Work it out. `released`: what was parked has been discarded at the end."""
        handled: list[Said] = []
        parked: list[Said] = []
        waiting: list[Said] = []
        for said in arrived:
            if said.fails_at(service):
                (parked if lets_pass or released or not parked else waiting).append(said)
            elif parked and not (lets_pass or released):
                waiting.append(said)
            else:
                handled.append(said)
        return cls(handled, parked, waiting)


@dataclass(frozen=True)
class Recount:
    """Looks at one run at rest."""

    said: Sequence[Said]
    databases: Mapping[str, Database]
    broker: MemoryBroker
    lets_pass: bool
    released: bool

    def findings(self) -> list[str]:
        """Return everything that is not as it must be, as sentences."""
        return sorted(dict.fromkeys(self._findings()))

    def _findings(self) -> Iterator[str]:
        arrived: dict[UUID, list[Said]] = defaultdict(list)
        for said in self.said:
            arrived[said.child].append(said)
        for service, database in self.databases.items():
            passes = self.lets_pass and service == "referral"
            fates = {
                child: Fate.of(events, service, lets_pass=passes, released=self.released)
                for child, events in arrived.items()
            }
            store = _Store(service, database)
            yield from self._effects(store, fates)
            yield from self._inbox(store, fates)
            yield from self._letters(store, fates)
            yield from store.numbers()
            yield from store.deadlines({said.entry: said for said in self.said})
            yield from self._bus(store)
            arrived = {child: list(fate.handled) for child, fate in fates.items()}

    def _effects(self, store: "_Store", fates: Mapping[UUID, Fate]) -> Iterator[str]:
        """Every event once in effect, in the order of its case; the journal tells the same."""
        for child, fate in fates.items():
            expected = [said.entry for said in fate.handled]
            told = store.told(child)
            for entry in sorted(set(expected) - set(told)):
                yield f"{store.service}: lost: {entry}"
            for entry, times in Counter(told).items():
                if times > 1:
                    yield f"{store.service}: applied twice: {entry}"
                if entry not in expected:
                    yield f"{store.service}: applied although it could not be: {entry}"
            if sorted(told) == sorted(expected) and told != expected:
                yield f"{store.service}: out of order: {told} instead of {expected}"
            if store.published(child) != told:
                yield f"{store.service}: journal and projection differ: {store.published(child)}, {told}"

    def _inbox(self, store: "_Store", fates: Mapping[UUID, Fate]) -> Iterator[str]:
        """The inbox holds what arrived and nothing else."""
        if store.service == "referral":
            expected = {_message(SOURCE, said.entry) for said in self.said}
        else:
            before = self.databases["referral"].tables["journal"].values()
            main = MAIN["referral"]
            expected = {
                _message("/leadline/referral", str(row["event_id"])) for row in before if row["type"] == main
            }
        found = {UUID(str(key)) for key in store.tables["inbox"]}
        if missing := len(expected - found):
            yield f"{store.service}: not in the inbox: {missing}"
        if more := len(found - expected):
            yield f"{store.service}: in the inbox, but never sent: {more}"

    def _letters(self, store: "_Store", fates: Mapping[UUID, Fate]) -> Iterator[str]:
        """What could not be taken is set aside, once, with an alarm; what waits behind it waits."""
        states = Counter(row["state"] for row in store.tables["letters"].values())
        poison = sum(len(fate.parked) for fate in fates.values())
        waiting = sum(len(fate.waiting) for fate in fates.values())
        expected = {"discarded": poison} if self.released else {"parked": poison, "waiting": waiting}
        seen = {state: states[state] for state in expected}
        if seen != expected:
            yield f"{store.service}: set aside: {dict(states)} instead of {expected}"
        if not self.released:
            alarms = sum(1 for row in store.journal if row["type"] == "event.parked.v1")
            if alarms != poison:
                yield f"{store.service}: {alarms} alarms about {poison} parked events"

    def _bus(self, store: "_Store") -> Iterator[str]:
        """Everything published is on the bus, an aggregate's events in order, and the outbox is empty.

        Of two aggregates of a child, written at the same time, either may go out first.
        """
        if pending := len(store.tables["outbox"]):
            yield f"{store.service}: still in the outbox: {pending}"
        journal: dict[str, list[str]] = defaultdict(list)
        for row in store.journal:
            journal[str(row["subject"])].append(str(row["event_id"]))
        bus: dict[str, dict[str, None]] = defaultdict(dict)
        for log in self.broker.topics[f"{store.service}-events"]:
            for record in log:
                headers = {name: (value or b"").decode() for name, value in record.headers}
                bus[headers["ce_subject"]][headers["ce_id"]] = None
        for subject, events in journal.items():
            found = list(bus[subject])
            if missing := len(set(events) - set(found)):
                yield f"{store.service}: never on the bus: {missing} events"
            elif found != events:
                yield f"{store.service}: on the bus in another order than in the journal"
        if more := sum(len(set(found) - set(journal[subject])) for subject, found in bus.items()):
            yield f"{store.service}: on the bus, but not in the journal: {more} events"


class _Store:
    """One service's store at rest."""

    def __init__(self, service: str, database: Database) -> None:
        self.service = service
        self.tables = database.tables
        positions: dict[Any, Values] = database.tables["journal"]
        self.journal = [positions[position] for position in sorted(positions)]
        self._published: dict[UUID, list[str]] = defaultdict(list)
        for row in self.journal:
            if row["type"] == MAIN[service]:
                entry = json.loads(row["data"])[ENTRY[service]]
                self._published[UUID(str(row["key"]))].append(entry)

    def told(self, child: UUID) -> list[str]:
        """Return the projection: a child's list."""
        row = self.tables["simulated"].get(child)
        return [] if row is None else row["told"].split()

    def published(self, child: UUID) -> list[str]:
        """Return the entries that were published about a child, in order."""
        return self._published[child]

    def numbers(self) -> Iterator[str]:
        """Each aggregate's events are numbered without gaps, and no id comes twice."""
        numbers: dict[Any, list[int]] = defaultdict(list)
        for row in self.journal:
            if row["type"] != "event.parked.v1":
                numbers[row["subject"]].append(row["sequence"])
        if any(found != list(range(1, len(found) + 1)) for found in numbers.values()):
            yield f"{self.service}: an aggregate's numbers have a gap, or are not in order"
        ids = Counter(row["event_id"] for row in self.journal)
        if len(ids) != len(self.journal):
            yield f"{self.service}: an event's id is in the journal twice"

    def deadlines(self, said: Mapping[str, Said]) -> Iterator[str]:
        """Every deadline raises each state once and never early; only a child's last one is not met."""
        events: dict[UUID, list[tuple[str, dict[str, Any], datetime]]] = defaultdict(list)
        for row in self.journal:
            name = row["type"].removesuffix(".v1")
            if name.startswith("deadline."):
                data = json.loads(row["data"])
                events[UUID(data["deadline_id"])].append((name[9:], data, row["time"]))
        for child, entries in self._published.items():
            for number, entry in enumerate(entries, start=1):
                deadline_id = uuid5(child, f"deadline/{KIND}/{number}")
                last = number == len(entries)
                yield from self._deadline(deadline_id, events.pop(deadline_id, []), said[entry], last=last)
        if events:
            yield f"{self.service}: deadlines of nothing: {len(events)}"

    def _deadline(
        self,
        deadline_id: UUID,
        events: Sequence[tuple[str, dict[str, Any], datetime]],
        said: Said,
        *,
        last: bool,
    ) -> Iterator[str]:
        begun = MONDAY + timedelta(seconds=said.at)
        moments = {"due_soon": begun + SOON, "due": begun + FROM, "overdue": begun + AT}
        names = [name for name, _, _ in events]
        once = Counter(names)
        what = f"{self.service}: the deadline of {said.entry}"
        if any(times > 1 for times in once.values()):
            yield f"{what} is raised twice: {names}"
        if names[:1] != ["scheduled"] or names != sorted(names, key=STATES.index):
            yield f"{what} takes its states in another order: {names}"
        end = ["due", "overdue"] if last else ["met"]
        if names[-len(end) :] != end:
            yield f"{what} ends with {names} instead of {end}"
        for name, data, written in events:
            if name in moments:
                raised = datetime.fromisoformat(data["raised_at"])
                if raised < moments[name] or written < moments[name]:
                    yield f"{what} is {name} too early"
        row = self.tables["deadlines"].get(deadline_id)
        if row is None or names[-1:] != [row["state"]] or row["version"] != len(names):
            yield f"{what} is not in the table as in the journal"


def _message(source: str, event_id: str) -> UUID:
    return uuid5(MESSAGES, f"{source}\n{event_id}")
