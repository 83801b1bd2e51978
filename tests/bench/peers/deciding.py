"""The part of the work that is the same for everybody: our own rules, called by every peer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.events import Event, ReferralAccepted
from services.assessment.app import build
from services.assessment.book import CaseBook
from services.assessment.handlers import on_referral_accepted
from services.assessment.model import Case, Caseload
from services.assessment.store import CaseStore
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.deadlines import policy as deadlines
from services.kernel.deadlines.policy import Deadline
from services.kernel.messages.envelope import message_id
from services.kernel.processing.publication import entry, number
from services.kernel.processing.service import Context
from services.kernel.store.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event with what its headers say."""

    event: ReferralAccepted
    message_id: UUID
    correlation: UUID

    @classmethod
    def of(cls, event: ReferralAccepted, headers: Mapping[str, str]) -> "Incoming":
        """Return the event with its identity."""
        identity = message_id(headers["ce_source"], headers["ce_id"])
        return cls(event, identity, UUID(headers["ce_correlationid"]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has to be written."""

    cases: Sequence[Case]
    caseloads: Sequence[Caseload]
    deadlines: Sequence[Deadline]
    entries: Sequence[JournalEntry]


class Decider:
    """Decides on events with our rules; knows no database."""

    def __init__(self, settings: Settings) -> None:
        self._service = build(settings)
        store = self._service.store
        assert isinstance(store, CaseStore)
        self._pack, self._roster = store.pack, store.roster
        self._people = {
            locality.code: [one.practitioner_id for one in store.roster.candidates(locality.code).leaders]
            for locality in store.pack.localities
        }
        self.clock = clock_of(settings)

    def people(self, incoming: Iterable[Incoming]) -> list[str]:
        """Return, sorted, whose caseloads the decisions need."""
        localities = {one.event.locality for one in incoming}
        return sorted({person for locality in localities for person in self._people[locality]})

    def decide(
        self, fresh: Sequence[Incoming], history: Iterable[Case], caseloads: Mapping[str, Caseload]
    ) -> Outcome:
        """Decide on events in order, given the cases of their children and the caseloads of `people`."""
        now = self.clock.now()
        book = CaseBook(self._pack, self._roster, caseloads=dict(caseloads))
        for case in history:
            book.add(case)
        dates: list[Deadline] = []
        entries: list[JournalEntry] = []
        for one in fresh:
            context = Context(now, one.message_id, one.correlation, self._service.calendar)
            for numbered in number(book, on_referral_accepted(book, one.event, context), context):
                if isinstance(numbered.item, Event):
                    entries.append(entry(numbered.item, numbered.sequence, context))
                    continue
                deadline = Deadline(deadlines.id_of(numbered.item))  # of a new case: there is none yet
                for event in deadlines.decide(deadline, numbered.item, now=now):
                    deadline = deadlines.evolve(deadline, event)
                    entries.append(entry(event, deadline.version, context))
                dates.append(deadline)
        return Outcome(
            cases=[book.cases[case_id] for case_id in book.changed_cases],
            caseloads=[book.caseloads[person] for person in book.changed_caseloads],
            deadlines=dates,
            entries=entries,
        )
