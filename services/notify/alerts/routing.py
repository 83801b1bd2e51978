"""Who has which role for a child, and who answers when they are away. Pure."""

from collections.abc import Iterator
from datetime import datetime

from schemas import events as e
from schemas.events import Event
from schemas.events.codes import Role
from services.kernel.pack.organisation import Team
from services.notify.alerts.council import Council
from services.notify.alerts.model import Address, People
from services.notify.pack.model import AlertRule, NotifyPack
from services.notify.referrers.policy import OF_CASES, agencies_concerned

WORKERS = frozenset(
    {
        Role.LEAD_PROFESSIONAL,
        Role.KEY_WORKER,
        Role.TEAM_MANAGER,
        Role.REVIEWING_OFFICER,
        Role.COMMISSIONER,
        Role.PLACEMENTS_OFFICER,
    }
)
"""Roles that one person has, who may be away or leave."""


def addresses(
    rule: AlertRule, event: Event, people: People, council: Council, *, now: datetime
) -> Iterator[Address]:
    """Yield whom a rule reaches. Where nobody has a role, the duty inbox is told: no alert is dropped.

    The one exception is the pack's own: `without_lead: null` tells nobody in place of a missing lead.
    A child without a key worker, as most are, has the lead professional. Of a case those agencies hear whose
    referrals led to it, and none whose referral was decided otherwise.
    """
    for role in rule.to:
        asked = role
        if role is Role.REFERRER and isinstance(event, OF_CASES):
            agencies = agencies_concerned(people.story, event, council.pack.referrers)
            if agencies is not None:
                yield from (Address(role, agency_id) for agency_id in agencies)
                continue
        worker = find_recipient(role, event, people, council.pack)
        if worker is None and role is Role.KEY_WORKER:
            asked = Role.LEAD_PROFESSIONAL
            worker = find_recipient(asked, event, people, council.pack)
        if worker is not None:
            yield reach(asked, worker, event, people, council, now=now)
            continue
        stand_in = rule.without_lead if asked is Role.LEAD_PROFESSIONAL else Role.DUTY_INBOX
        if stand_in is None:
            continue
        worker = find_recipient(stand_in, event, people, council.pack)
        if worker is None:
            stand_in, worker = Role.DUTY_INBOX, duty_inbox(event, people, council.pack)
        yield Address(stand_in, worker, vacant=asked in WORKERS)


def reach(
    role: Role, worker_id: str, event: Event, people: People, council: Council, *, now: datetime
) -> Address:
    """Return who answers for somebody at a moment: they, whom they named, or the duty inbox.

    Who works here no longer is away for good. Those who stand in for one another lead to the duty inbox.
    """
    if role not in WORKERS:
        return Address(role, worker_id)
    reached, passed = worker_id, {worker_id}
    while (
        away := council.arrangements.absence(reached, now)
    ) or reached not in council.pack.practitioner_ids:
        following = None if away is None else away.to_id
        if following is None or following in passed:
            inbox = duty_inbox(event, people, council.pack)
            return Address(Role.DUTY_INBOX, inbox, stands_in_for=worker_id, vacant=True)
        passed.add(following)
        reached = following
    return Address(role, reached, stands_in_for=None if reached == worker_id else worker_id)


def find_recipient(role: Role, event: Event, people: People, pack: NotifyPack) -> str | None:
    """Return who has a role for an event's child; None when nobody does."""
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
            # A reviewer whom the pack does not know came from elsewhere: the county's answers.
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
    """Return the inbox that somebody always watches: the team's, or the county's when no team is known."""
    team = team_of(event, people, pack)
    return pack.county_duty.duty_inbox if team is None else team.duty_inbox


def team_of(event: Event, people: People, pack: NotifyPack) -> Team | None:
    """Return the team that answers for an event: the case's, else the event's, else the locality's."""
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
