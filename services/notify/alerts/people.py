"""The people around a child: learnt from other services' events, or assigned here. Pure."""

from dataclasses import replace

from schemas import events as e
from schemas.events import Event
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Context
from services.notify.alerts.council import Council
from services.notify.alerts.model import AssignKeyWorker, Case, KeyWorker, People, Referrer, ReviewingOfficer


def learn(people: People, event: Event) -> People:
    """Return the people around the child after an event. Older events that arrive late change nothing."""
    match event:
        case e.ReferralReceived() | e.ReferralAccepted():
            fresh = Referrer(event.agency_id, event.locality, event.received_at)
            known = people.referrer
            late = known is not None and known.referred_at > fresh.referred_at
            return people if late else replace(people, referrer=fresh)
        case e.AssessmentStarted():
            case = people.find_case(event.case_id) or Case(event.case_id, event.started_at)
            # The lead professional's team wins over the one that started: it may be another locality's.
            team, locality = case.team or event.team, case.locality or event.locality
            return _with(people, replace(case, opened_at=event.started_at, team=team, locality=locality))
        case e.LeadProfessionalAssigned():
            case = people.find_case(event.case_id) or Case(event.case_id, event.assigned_at)
            lead = event.lead_professional_id if case.status == "open" else None
            return _with(
                people, replace(case, lead_professional_id=lead, team=event.team, locality=event.locality)
            )
        case e.CaseClosed():
            case = people.find_case(event.case_id) or Case(event.case_id, event.closed_at)
            return _with(people, replace(case, status="closed", lead_professional_id=None))
        case e.PlacementReviewed():
            fresh_officer = ReviewingOfficer(event.reviewed_by, event.reviewed_on)
            before = people.reviewing_officer
            overtaken = before is not None and before.since > fresh_officer.since
            return people if overtaken else replace(people, reviewing_officer=fresh_officer)
        case e.KeyWorkerAssigned():
            version = 1 if people.key_worker is None else people.key_worker.version + 1
            return replace(people, key_worker=KeyWorker(event.key_worker_id, event.assigned_at, version))
    return people


def decide_key_worker(
    people: People, command: AssignKeyWorker, *, council: Council, context: Context
) -> list[e.KeyWorkerAssigned]:
    """Give a child a key worker, or none; only people who work here are accepted."""
    worker = command.key_worker_id
    if worker is not None and worker not in council.pack.practitioner_ids:
        raise Refused(f"The policy pack has no practitioner {worker}: check the id in the pack.")
    if (None if people.key_worker is None else people.key_worker.worker_id) == worker:
        return []
    return [
        e.KeyWorkerAssigned(
            child_id=command.child_id,
            key_worker_id=worker,
            assigned_by=command.assigned_by,
            assigned_at=context.now,
        )
    ]


def _with(people: People, case: Case) -> People:
    others = tuple(other for other in people.cases if other.case_id != case.case_id)
    return replace(people, cases=(*others, case))
