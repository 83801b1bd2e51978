"""The content that may leave the system: a code for what happened, a case reference, a date, a link. Pure."""

from typing import Any

from schemas.events.codes import Role
from services.kernel.base.settings import Settings
from services.kernel.deadlines.wording import due_words
from services.notify.delivery.email import PREFIXES, inbox, link, reference
from services.notify.delivery.store.queue import Message, MessagePart
from services.notify.wording import kind_words


def where(message: Message, settings: Settings) -> str:
    """Return the one link of a message: to its alert, or to the inbox when there are several."""
    if len(message.parts) > 1:
        return inbox(message.recipient_id, settings)
    return link(message.recipient_id, message.parts[0], settings)


def what(message: Message) -> str:
    """Return in a few words what a message is about."""
    if len(message.parts) > 1:
        return f"{len(message.parts)} alerts"
    (part,) = message.parts
    return f"{PREFIXES.get(part.template, '')}{kind_words(part.kind)}"


def sentence(message: Message, settings: Settings) -> str:
    """Return a message as one line of plain text."""
    references = ", ".join(sorted({reference(part) for part in message.parts}))
    due = [part.due_at for part in message.parts if part.due_at is not None]
    by_when = f", by {due_words(min(due))}" if due else ""
    return f"Leadline: {what(message)} ({references}){by_when}. {where(message, settings)}"


def personalisation(message: Message, settings: Settings) -> dict[str, str]:
    """Return the fields that a template of GOV.UK Notify may use: what, reference, due, link."""
    due = [part.due_at for part in message.parts if part.due_at is not None]
    return {
        "what": what(message),
        "reference": ", ".join(sorted({reference(part) for part in message.parts})),
        "due": due_words(min(due)) if due else "no date",
        "link": where(message, settings),
    }


def body(message: Message, settings: Settings) -> dict[str, Any]:
    """Return a webhook's body: ids, codes, dates and links, as on the bus."""
    return {
        "id": str(message.message_id),
        "type": "leadline.alerts",
        "recipient_id": message.recipient_id,
        "alerts": [_alert(message, part, settings) for part in message.parts],
    }


def _alert(message: Message, part: MessagePart, settings: Settings) -> dict[str, Any]:
    return {
        "alert_id": str(part.alert_id),
        "kind": part.kind,
        "urgency": part.urgency.value,
        "about": str(part.about),
        "case_id": None if part.case_id is None else str(part.case_id),
        "reference": reference(part),
        "raised_at": part.raised_at.isoformat(),
        "due_at": None if part.due_at is None else part.due_at.isoformat(),
        "acknowledged": part.seen,
        "link": link(message.recipient_id, part, settings),
        **({"updates": [update.shown() for update in part.updates]} if part.role is Role.REFERRER else {}),
    }
