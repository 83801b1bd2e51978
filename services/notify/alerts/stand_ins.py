"""Who stands in for a worker who is away or has left. Pure."""

from datetime import datetime

from schemas.events import Event
from schemas.events.codes import Role
from services.notify.alerts.council import Council
from services.notify.alerts.model import Address, People
from services.notify.alerts.recipients import duty_inbox

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
"""Roles held by one person, who may be away or leave."""


def reach(
    role: Role, worker_id: str, event: Event, people: People, council: Council, *, now: datetime
) -> Address:
    """Return who answers for a worker now: the worker, their stand-in, or the duty inbox.

    A worker who is no longer in the pack is away for good. Workers who stand in for one another lead to the
    duty inbox.
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
