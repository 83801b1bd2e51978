"""Finds the recipients of an alert rule: the people in its roles, or those who stand in for them. Pure."""

from collections.abc import Iterator
from datetime import datetime

from schemas.events import Event
from schemas.events.codes import Role
from services.notify.alerts.council import Council
from services.notify.alerts.model import Address, People
from services.notify.alerts.recipients import duty_inbox, find_recipient
from services.notify.alerts.stand_ins import WORKERS, reach
from services.notify.pack.model import AlertRule
from services.notify.referrers.policy import OF_CASES, agencies_concerned


def addresses(
    rule: AlertRule, event: Event, people: People, council: Council, *, now: datetime
) -> Iterator[Address]:
    """Yield a rule's recipients. Where a role is vacant, the duty inbox is alerted: no alert is dropped.

    The pack makes the one exception: with `without_lead: null` no one replaces a missing lead. For a child
    without a key worker (most have none) the lead professional is alerted. Alerts about a case go only to
    the agencies whose referrals led to it.
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
