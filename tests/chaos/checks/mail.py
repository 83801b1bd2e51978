"""E-mails: each alert that is more than routine has one at the mail server, or one in the queue; no other."""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from tests.chaos.evidence import Entry, Evidence
from tests.chaos.ledger import Ledger

MAILED = frozenset({"soon", "urgent"})
ON_THE_WAY = frozenset({"queued", "sent"})
"""This run's mail server refuses nothing, and nobody acknowledges an alert before its e-mail has gone."""


def mail_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each e-mail that is missing, goes to somebody else, or has no alert.

    A copy is none: an e-mail goes at least once, and its Message-ID tells copies.
    """
    raised = {
        entry.subject: entry
        for entry in evidence.journals.get("notify", ())
        if entry.type == "alert.raised.v1"
    }
    arrived: defaultdict[UUID, set[str]] = defaultdict(set)
    found: list[str] = []
    for mail in evidence.mails:
        if mail.alert_id is None:
            found.append("an e-mail names no alert")
        else:
            arrived[mail.alert_id].add(mail.recipient)
    found += _of_alerts(raised, arrived, evidence)
    strays = arrived.keys() - raised
    found += [f"an e-mail tells of alert {alert_id}, which was not raised" for alert_id in strays]
    return found


def _of_alerts(raised: dict[UUID, Entry], arrived: dict[UUID, set[str]], evidence: Evidence) -> Iterator[str]:
    for alert_id, entry in raised.items():
        state, recipients = evidence.e_mails.get(alert_id), arrived.get(alert_id, set())
        if entry.data["urgency"] not in MAILED:
            if state is not None or recipients:
                yield f"alert {alert_id} is routine and has an e-mail"
            continue
        if state not in ON_THE_WAY:
            yield f"alert {alert_id}: its e-mail is {state or 'not there'}"
        if state == "sent" and not recipients:
            yield f"alert {alert_id}: its e-mail counts as sent and never arrived"
        if recipients - {entry.data["recipient_id"]}:
            yield f"alert {alert_id}: its e-mail went to somebody else"
