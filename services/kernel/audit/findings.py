"""The findings of an audit, and the comparisons that lead to them: pure functions of the stores' contents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from services.kernel.audit.queries import MOST, AuditStanding, History, Queued, Written
from services.kernel.messages.ids import derived

Outcome = Literal["ok", "finding", "could not look"]

EXAMPLES = 5
"""Ids or positions that a line names; they are ours, never what a sender wrote."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """The findings of one check of one service. `count` is how much is wrong, `advice` what to do."""

    service: str
    check: str
    outcome: Outcome
    words: str
    count: int = 0
    examples: tuple[str, ...] = ()
    advice: str = ""


@dataclass
class Found:
    """The findings of a check so far, each once; it goes on until there are MOST."""

    things: dict[str, None] = field(default_factory=dict)

    def add(self, things: Iterable[object]) -> None:
        """Take in what one look has found."""
        self.things.update(dict.fromkeys(map(str, things)))

    @property
    def full(self) -> bool:
        """Return whether there is no use in looking on."""
        return len(self.things) >= MOST


@dataclass(frozen=True, slots=True)
class Check:
    """One question: its name, what is so when all is well, what is wrong otherwise, and what to do then.

    `{service}`, `{first}` (the first thing found) and the caller's own facts are filled into the words.
    """

    name: str
    fine: str
    wrong: str
    advice: str

    def line(self, service: str, found: Iterable[object], **facts: object) -> ReportLine:
        """Return the answer: fine when nothing was found."""
        things = [str(thing) for thing in found]
        facts |= {"service": service, "first": things[0] if things else ""}
        name = self.name.format(**facts)
        if not things:
            return ReportLine(service, name, "ok", self.fine.format(**facts))
        least = "at least " if len(things) >= MOST else ""
        words = f"{self.wrong.format(**facts)}: {least}{len(things)}"
        advice = self.advice.format(**facts)
        return ReportLine(service, name, "finding", words, len(things), tuple(things[:EXAMPLES]), advice)

    def unseen(self, service: str, why: str, **facts: object) -> ReportLine:
        """Return that there is no answer, and why."""
        advice = "is the database running? Ask again; `--last N` looks at less"
        return ReportLine(service, self.name.format(**facts), "could not look", why, advice=advice)


STORE = Check("store", "answers; its journal ends at position {until}", "", "")
NUMBERS = Check(
    "numbers",
    "every aggregate's events are numbered from 1 without a gap",
    "aggregates with a gap in their numbers",
    "the journal has lost events: bring them back from a backup; the bus keeps them for a while",
)
IDS = Check(
    "event ids",
    "every id follows from the event's cause, type, subject and number, so none is there twice",
    "events with an id that is not their own",
    "somebody has written into the journal; services that have had an event of that id will drop it",
)
ROWS = Check(
    "rows",
    "every aggregate of the journal has its row",
    "aggregates of the journal without a row",
    "`leadline journal show {service} --subject {first}` tells what the row must say",
)
OUTBOX = Check(
    "outbox",
    "the journal has everything that is to be published",
    "positions to be published that the journal does not have",
    "bring the journal's entries back from a backup: the relay passes them by until then",
)
PENDING = Check(
    "pending",
    "nothing waits in the outbox for longer than {grace:g} s",
    "events in the outbox for longer than {grace:g} s, the oldest written at {oldest}",
    "do worker and broker run? `leadline doctor` looks at both; `leadline journal refused {service}` lists"
    " what the broker does not take",
)
DEADLINES = Check(
    "deadlines",
    "every deadline stands where its last event says",
    "deadlines that differ from their events",
    "`leadline journal show {service} --subject {first}` tells what the row must say",
)
ALARMS = Check(
    "alarms",
    "every running deadline is looked at again when its next state comes",
    "deadlines whose next_at does not follow from their state",
    "correct the column: nobody is told of such a deadline, or at the wrong moment",
)
DUE = Check(
    "due",
    "no deadline that is due stays unraised for longer than {grace:g} s",
    "deadlines that are due and not raised for longer than {grace:g} s",
    "does the scanner run? `leadline worker {service}` has one",
)
AGGREGATES = Check(
    "aggregates",
    "every aggregate stands where its last event says",
    "aggregates that differ from their events",
    "`leadline journal show {service} --subject {first}` tells what the row must say",
)
DEAD_LETTERS = Check(
    "dead letters",
    "nothing is set aside",
    "",
    "look at them: `leadline dead-letters list --service {service}`",
)
WAITING = Check(
    "waiting",
    "nothing waits without a parked event of its case before it",
    "events that wait for nothing",
    "a release was broken off: `leadline dead-letters replay {first}` handles it and those behind it",
)
REQUESTS = Check(
    "requests",
    "every kept answer is one that a command gives",
    "",
    "the table was changed by hand: a request that is sent again with one of these keys gets a wrong answer",
)
NET = Check("net", "nothing falls through it", "", "look at each: a child may be waiting for nobody")
ARRIVED = Check(
    "from {producer}",
    "has had every event that left the outbox of {producer}",
    "events of {producer} that have left its outbox and not arrived within {grace:g} s",
    "does `leadline topics lag` show that {service} is behind? Else `leadline journal replay {producer}"
    " --since {first}`: what has been handled is dropped. Events of a type that {service} did not handle yet"
    " when they went out are told here too: `--since` leaves them out",
)

COPIES = Check(
    "{things} of {owner}",
    "what it keeps of the {things} of {owner} is so",
    "{things} of {owner} that it knows otherwise for longer than {grace:g} s",
    "where it has had every event of {owner}, correct its row:"
    " `leadline journal show {owner} --subject {first}` tells what is so",
)


def gaps(histories: Iterable[History]) -> list[UUID]:
    """Return the aggregates whose events are not numbered 1 to n."""
    return [history.subject for history in histories if history.events != history.last]


def foreign_ids(events: Iterable[Written]) -> list[UUID]:
    """Return the ids that do not follow from their event's cause, type, subject and number.

    No index keeps ids unique. Those that follow are: no two events share a subject and a number.
    """
    return [
        event.event_id
        for event in events
        if event.event_id != derived(event.causation_id, f"{event.type}/{event.subject}/{event.sequence}")
    ]


def strays(queue: Iterable[Queued]) -> list[int]:
    """Return the positions of the outbox that the journal does not have."""
    return [queued.position for queued in queue if queued.time is None]


def differing(standings: Iterable[AuditStanding], states: Mapping[str, str]) -> list[UUID]:
    """Return the aggregates whose row says other than the journal: how many events, and the state after them.

    `states` has the state after each wire type; when it is empty, only the events are counted.
    """
    return [
        standing.key
        for standing in standings
        if standing.version != standing.events
        or (states and standing.state != states.get(standing.last_type or ""))
    ]


def exit_code(lines: Sequence[ReportLine]) -> int:
    """Return 1 when anything was found, else 2 when anything could not be looked at, else 0."""
    outcomes = {line.outcome for line in lines}
    if "finding" in outcomes:
        return 1
    return 2 if "could not look" in outcomes else 0
