"""The cases and caseloads that one batch touches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from schemas.events import Event
from services.assessment.allocation import Candidates, Roster
from services.assessment.model import Case, Caseload
from services.assessment.pack import AssessmentPack
from services.assessment.policy import CaseEvent, evolve
from services.kernel.messages.faults import Refused


@dataclass
class CaseBook:
    """Cases by id and by child, the caseloads of all who may gain or lose points, and the policy.

    A case's points are always in its lead's caseload: `apply` moves them, so that each assignment counts
    for the next one of the batch.
    """

    pack: AssessmentPack
    roster: Roster
    cases: dict[UUID, Case] = field(default_factory=dict)
    caseloads: dict[str, Caseload] = field(default_factory=dict)
    changed_cases: set[UUID] = field(default_factory=set)
    changed_caseloads: set[str] = field(default_factory=set)
    _of_child: defaultdict[UUID, list[UUID]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: Case) -> None:
        """Add a case, or replace it by a newer version."""
        if case.case_id not in self.cases:
            self._of_child[case.child_id].append(case.case_id)
        self.cases[case.case_id] = case

    def case(self, case_id: UUID) -> Case:
        """Return a case. Raises Refused for an unknown one."""
        case = self.cases.get(case_id)
        if case is None:
            raise Refused(f"There is no case {case_id}: check the id.", missing=True)
        return case

    def history(self, child_id: UUID) -> Sequence[Case]:
        """Return every case of a child, closed ones included."""
        return [self.cases[case_id] for case_id in self._of_child.get(child_id, ())]

    def points(self, candidates: Candidates) -> Mapping[str, int]:
        """Return the current points of each candidate."""
        return {
            leader.practitioner_id: self.caseloads[leader.practitioner_id].points
            for leader in candidates.leaders
        }

    def apply(self, event: Event) -> int:
        """Let the event's case and its lead's caseload evolve; return the case's new version."""
        before = self.cases.get(event.subject)
        after = evolve(before, cast("CaseEvent", event), weights=self.pack.caseload.weights)
        if before is not None and before.is_open and before.lead_professional_id is not None:
            self._charge(self.caseloads[before.lead_professional_id].minus(before.points))
        if after.is_open and after.lead_professional_id is not None:
            self._charge(self.caseloads[after.lead_professional_id].plus(after.points))
        self.add(after)
        self.changed_cases.add(after.case_id)
        return after.version

    def _charge(self, caseload: Caseload) -> None:
        self.caseloads[caseload.practitioner_id] = caseload
        self.changed_caseloads.add(caseload.practitioner_id)
