"""The content of an email: a case reference, the pack's words, a link. Nothing about the child."""

from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import quote

from services.kernel.base.settings import Settings
from services.kernel.deadlines.wording import due_words
from services.notify.delivery.store.queue import Message, MessagePart
from services.notify.wording import kind_words

PREFIXES = {"reminder": "Reminder: ", "escalation": "Not seen: "}
"""How the subject begins, by the delivery's template."""

NO_DETAILS = "This message holds no details of the child, on purpose: please do not reply with any."


def compose(message: Message, settings: Settings) -> EmailMessage:
    """Return the email of a message.

    Its Message-ID is the message's own, the same each time it is tried, so that a mailbox or a mail server
    can recognise a second copy. A digest lists every alert in it and marks those acknowledged meanwhile.
    """
    first = message.parts[0]
    letter = EmailMessage()
    letter["From"] = settings.mail_from
    letter["To"] = address(message.recipient_id, settings)
    letter["Subject"] = _subject(message.parts)
    letter["Date"] = first.raised_at
    letter["Message-ID"] = f"<{message.message_id}@{settings.mail_from.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office replies are not sent to us
    letter.set_content(_body(message, settings))
    return letter


def address(recipient_id: str, settings: Settings) -> Address:
    """Return a recipient's address: the id, quoted where it has to be, at the mail domain."""
    return Address(username=recipient_id, domain=settings.mail_domain)


def link(recipient_id: str, part: MessagePart, settings: Settings) -> str:
    """Return the address of an alert's page."""
    return f"{inbox(recipient_id, settings)}/alerts/{part.alert_id}"


def inbox(recipient_id: str, settings: Settings) -> str:
    """Return the address of somebody's inbox."""
    return f"{settings.site.rstrip('/')}/inbox/{quote(recipient_id, safe='')}"


def reference(part: MessagePart) -> str:
    """Return the case by the first part of its id, which is enough to recognise it and never personal."""
    if part.case_id is not None:
        return f"case {str(part.case_id)[:8]}"
    return f"reference {str(part.about)[:8]}"


def _subject(parts: Sequence[MessagePart]) -> str:
    if len(parts) > 1:
        return f"Leadline: {len(parts)} alerts"
    (part,) = parts
    return f"Leadline: {PREFIXES.get(part.template, '')}{kind_words(part.kind)}, {reference(part)}"


def _body(message: Message, settings: Settings) -> str:
    lines = []
    for part in message.parts:
        if len(message.parts) > 1:
            lines.append(f"{kind_words(part.kind).capitalize()}, {reference(part)}")
        lines.append(part.says)
        if part.due_at is not None:
            lines.append(f"By when: {due_words(part.due_at)}")
        lines.append(f"What to do now: {part.next_step}")
        if part.seen:
            lines.append("This alert was acknowledged meanwhile.")
        lines += ["", f"Open the alert: {link(message.recipient_id, part, settings)}", ""]
    return "\n".join([*lines, NO_DETAILS]) + "\n"
