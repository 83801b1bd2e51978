"""Who has which role for a child. Pure."""

from schemas import events as e
from schemas.events import Event
from schemas.events.codes import Role
from services.kernel.pack.organisation import Team
from services.notify.alerts.model import People
from services.notify.pack.model import NotifyPack


def find_recipient(role: Role, event: Event, people: People, pack: NotifyPack) -> str | None:
    """Return the holder of a role for an event's child; None when there is none."""
    match role:
        case Role.LEAD_PROFESSIONAL:
            if isinstance(event, e.LeadProfessionalAssigned | e.CaseClosed):
                return event.lead_professional_id
            case = people.find_open_case(getattr(event, "case_id", None))
            return None if case is None else case.lead_professional_id
        case Role.KEY_WORKER:
            return None if people.key_worker is None else people.key_worker.worker_id
        case Role.REVIEWING_OFFICER:
            officer = people.reviewing_officer
            # A reviewer who is not in the pack is from elsewhere: the county's officer answers.
            known = officer is not None and officer.worker_id in pack.practitioner_ids
            return officer.worker_id if officer and known else pack.county_duty.independent_reviewing_officer
        case Role.COMMISSIONER:
            return pack.county_duty.commissioner
        case Role.TEAM_MANAGER:
            team = team_of(event, people, pack)
            return pack.county_duty.manager if team is None else team.manager
        case Role.REFERRER:
            agency_id: str | None = getattr(event, "agency_id", None)
            return agency_id or (people.referrer.agency_id if people.referrer is not None else None)
        case Role.DUTY_INBOX:
            return duty_inbox(event, people, pack)
        case Role.PLACEMENTS_OFFICER:
            return pack.county_duty.placements_officer
        case Role.OPERATIONS:
            return pack.county_duty.operations


def duty_inbox(event: Event, people: People, pack: NotifyPack) -> str:
    """Return the inbox that is always watched: the team's, or the county's when no team is known."""
    team = team_of(event, people, pack)
    return pack.county_duty.duty_inbox if team is None else team.duty_inbox


def team_of(event: Event, people: People, pack: NotifyPack) -> Team | None:
    """Return the team responsible for an event: the case's, else the event's, else the locality's."""
    case_id = getattr(event, "case_id", None)
    case = people.find_open_case(case_id) or people.find_case(case_id)
    teams = (case.team if case is not None else None, getattr(event, "team", None))
    localities = (
        case.locality if case is not None else None,
        getattr(event, "locality", None),
        people.referrer.locality if people.referrer is not None else None,
    )
    served = (pack.team_by_locality.get(locality or "") for locality in localities)
    named = (pack.team_by_code.get(team or "") for team in teams)
    return next((team for team in (*named, *served) if team is not None), None)
