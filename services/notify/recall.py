"""What brings the notify store back: its own events, and what others say of a child's people.

Which e-mails went out is on no bus. What may have been sent is not sent again: its alert stands in the inbox.
"""

from collections.abc import Sequence

from sqlalchemy import text

from schemas.events import AlertRaised, Event
from services.kernel.connection import Connection
from services.kernel.rejoin import Loss
from services.kernel.service import Message
from services.notify.book import NotifyBook
from services.notify.model import AcknowledgeAlert
from services.notify.policy import E_MAILED
from services.notify.store import NotifyStore

NOT_AGAIN = text("DELETE FROM e_mails WHERE alert_id = ANY(CAST(:ids AS uuid[]))")

TAKE_OUT = text("DELETE FROM e_mails WHERE state = 'queued' RETURNING alert_id")


class NotifyRecall:
    """Loads alerts and people for events about them."""

    def __init__(self, store: NotifyStore) -> None:
        self._store = store
        self._unsure: set[str] = set()

    async def begin(self, connection: Connection) -> None:
        """Take out what was queued in the backup: it has gone since, unless the mail server was away."""
        self._unsure |= {str(row[0]) for row in await connection.execute(TAKE_OUT)}

    async def load(
        self, connection: Connection, events: Sequence[Event], message: Event | None
    ) -> NotifyBook:
        """Return the book of the events' alerts: the one that acknowledging each of them would get."""
        wanted: list[Message] = [
            AcknowledgeAlert(alert_id=event.subject, acknowledged_by="rejoin") for event in events
        ]
        return await self._store.load(connection, wanted if message is None else [*wanted, message])

    async def saved(self, connection: Connection, events: Sequence[Event]) -> None:
        """Take the e-mails of alerts that had been raised before out of the queue again."""
        raised = [
            event.alert_id for event in events if isinstance(event, AlertRaised) and event.urgency in E_MAILED
        ]
        if raised:
            await connection.execute(NOT_AGAIN, {"ids": raised})
            self._unsure |= set(map(str, raised))

    async def losses(self, _connection: Connection) -> list[Loss]:
        """Return the alerts of which nobody knows whether an e-mail went."""
        what = "alerts: whether an e-mail went out; none is sent now, they stand in the inbox"
        return [Loss(what, tuple(sorted(self._unsure)))] if self._unsure else []
