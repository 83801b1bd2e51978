"""Commands on alerts from the pages: the same as the API's, each once however often a form is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.events import Event
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import Respond
from services.kernel.processing.service import Command
from services.notify.alerts.model import AcknowledgeAlert, Alert, SnoozeAlert
from services.notify.book import NotifyBook
from services.notify.pages.context import PageContext
from services.notify.queries import lists as reading


class Deeds:
    """Executes what a form asks for."""

    def __init__(self, context: PageContext) -> None:
        self._executor = context.executor

    async def find(self, inbox: str, alert_id: UUID) -> Alert:
        """Return an alert of an inbox. Raises Refused when it is not there, for whatever reason."""
        async with self._executor.engine.connect() as connection:
            alert = await reading.find(connection, alert_id)
        if alert is None or alert.facts.recipient_id != inbox:
            raise Refused(f"There is no such alert in the inbox of {inbox}.", missing=True)
        return alert

    async def acknowledge(self, inbox: str, command: AcknowledgeAlert) -> None:
        """Mark an alert of an inbox as seen; one that is seen already stays as it is."""
        # The key is the deed itself, so that a double click or a reload does it once.
        key = f"inbox/{inbox}/{command.alert_id}/{command.acknowledged_by}"
        await self.execute(command, key=key)

    async def put_off(self, inbox: str, alert_id: UUID, *, by: str, until: datetime) -> None:
        """Put an alert of an inbox off. Raises Refused when it is not there, or not for so long."""
        await self.find(inbox, alert_id)
        command = SnoozeAlert(alert_id=alert_id, snoozed_by=by, until=until)
        await self.execute(command, key=f"inbox/{inbox}/{alert_id}/until/{until.isoformat()}")

    async def execute(self, command: Command, *, key: str) -> None:
        """Execute a command once per key. Raises Refused when the rules do not allow it."""
        await self._executor.execute(command, key=key, respond=RESPOND)


def _respond(_book: NotifyBook, events: Sequence[Event]) -> dict[str, Any]:
    return {"events": [event.wire_type for event in events]}


RESPOND: Respond[NotifyBook] = _respond
