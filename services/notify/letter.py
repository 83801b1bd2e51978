"""What an e-mail about an alert says: a case reference, the pack's words, a link. Nothing about the child."""

from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import quote

from services.kernel.settings import Settings
from services.notify.posting import Email
from services.notify.wording import due_words, kind_words


def compose(email: Email, settings: Settings) -> EmailMessage:
    """Return the e-mail of an alert: the same bytes each time it is tried.

    Its Message-ID is derived from the alert, so that a mailbox or a mail server can tell a second copy.
    """
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = address(email.recipient_id, settings)
    message["Subject"] = f"Leadline: {kind_words(email.kind)}, {_reference(email)}"
    message["Date"] = email.raised_at
    message["Message-ID"] = f"<{email.alert_id}@{settings.mail_from.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: absence notes are not sent to us
    message.set_content(_body(email, settings))
    return message


def address(recipient_id: str, settings: Settings) -> Address:
    """Return a recipient's address: the id, quoted where it has to be, at the mail domain."""
    return Address(username=recipient_id, domain=settings.mail_domain)


def link(email: Email, settings: Settings) -> str:
    """Return the address of the alert's page."""
    recipient = quote(email.recipient_id, safe="")
    return f"{settings.site.rstrip('/')}/inbox/{recipient}/alerts/{email.alert_id}"


def _reference(email: Email) -> str:
    """Return the case by the first part of its id, which is enough to recognise it and never personal."""
    if email.case_id is not None:
        return f"case {str(email.case_id)[:8]}"
    return f"reference {str(email.about)[:8]}"


def _body(email: Email, settings: Settings) -> str:
    lines = [email.says]
    if email.due_at is not None:
        lines.append(f"By when: {due_words(email.due_at)}")
    lines += [f"What to do now: {email.next_step}", "", f"Open the alert: {link(email, settings)}", ""]
    lines.append("This message holds no details of the child, on purpose: please do not reply with any.")
    return "\n".join(lines) + "\n"
