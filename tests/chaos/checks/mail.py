"""Emails: what was sent has arrived where it belongs, and what arrived has a delivery that explains it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

from tests.chaos.evidence import Delivery, Evidence, Mail
from tests.chaos.ledger import Ledger

MAY_HAVE_GONE = frozenset({"queued", "sent"})
"""What is queued may have gone once: whoever sent it died before that could be recorded."""


def mail_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each email that is missing, goes to somebody else, or has no delivery.

    A copy is none: an email goes at least once, and its Message-ID tells copies.
    """
    messages: defaultdict[UUID, list[Delivery]] = defaultdict(list)
    for delivery in evidence.deliveries:
        if delivery.channel == "email":
            messages[delivery.message_id].append(delivery)
    arrived = {mail.message_id for mail in evidence.mails}
    return [
        *(sentence for mail in evidence.mails for sentence in _of_mail(mail, messages)),
        *_never_arrived(messages, arrived),
    ]


def _of_mail(mail: Mail, messages: dict[UUID, list[Delivery]]) -> Iterator[str]:
    if mail.message_id is None:
        yield "an email has no Message-ID of ours"
        return
    parts: Sequence[Delivery] = messages.get(mail.message_id, ())
    if not parts:
        yield f"email {mail.message_id} belongs to no delivery"
        return
    if {part.recipient for part in parts} != {mail.recipient}:
        yield f"email {mail.message_id} went to somebody else"
    if {part.alert_id for part in parts} != mail.alerts:
        yield f"email {mail.message_id} tells of other alerts than its deliveries"
    for part in parts:
        if part.state not in MAY_HAVE_GONE:
            yield f"delivery {part.delivery_id} is {part.state}, and its email has arrived"


def _never_arrived(messages: dict[UUID, list[Delivery]], arrived: set[UUID | None]) -> Iterator[str]:
    for message_id, parts in messages.items():
        for part in parts:
            if part.state == "sent" and message_id not in arrived:
                yield f"delivery {part.delivery_id} counts as sent, and its email never arrived"
