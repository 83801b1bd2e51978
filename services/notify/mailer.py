"""The mailer: sends queued e-mails, each by one mailer, in order, until the mail server has taken them."""

from datetime import timedelta

import structlog
from mode import Service

from schemas.events.codes import Channel
from services.kernel.clock import Clock, SystemClock
from services.kernel.connection import Engine
from services.kernel.database import is_transient
from services.kernel.settings import Settings
from services.notify import queue
from services.notify.letter import compose
from services.notify.postbox import Later, MailServerAway, Outcome, Postbox, Refused, Taken

log = structlog.get_logger()

PROVIDER = "smtp"

REFUSALS_ALLOWED = 3
"""How often a server may refuse one message for good (5xx) before the mailer gives it up."""

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_ABSENCE_SECONDS = 60.0


class Mailer(Service):
    """Sends the e-mails of alerts, at least once.

    An e-mail is claimed, handed to the mail server and recorded as sent in one transaction of its own. If
    this process, the database or the connection breaks after the server's "250" and before the commit, the
    e-mail goes again: at most one e-mail per mailer and crash is doubled, and its Message-ID is the same,
    so that mailboxes can drop the copy. None is lost. Temporary failures are tried again for ever, refusals
    `REFUSALS_ALLOWED` times. Retries wait in real time, also where the county's time is simulated:
    the mail server does not live there.
    """

    def __init__(
        self, settings: Settings, engine: Engine, clock: Clock, *, real: Clock | None = None
    ) -> None:
        super().__init__()
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._real = real or SystemClock()

    @Service.task
    async def _send_for_ever(self) -> None:
        absence = self._settings.relay_seconds
        while not self.should_stop:
            try:
                await self.send_queued()
                absence = self._settings.relay_seconds
            except MailServerAway as away:
                log.warning("mail server away, e-mails wait", reason=str(away), pause_seconds=absence)
                await self.sleep(absence)
                absence = min(absence * 2, LONGEST_ABSENCE_SECONDS)
                continue
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("database away, e-mails wait", error=type(error).__name__)
            await self.sleep(self._settings.relay_seconds)

    async def send_queued(self) -> int:
        """Try every e-mail that is due once; return how many the server has taken.

        Raises MailServerAway when the server takes nothing; what is queued stays queued.
        """
        taken = 0
        async with Postbox(self._settings) as postbox:
            while not self.should_stop:
                outcome = await self._send_next(postbox)
                if outcome is None:
                    break
                taken += isinstance(outcome, Taken)
        return taken

    async def _send_next(self, postbox: Postbox) -> Outcome | None:
        """Send the next e-mail and record what became of it; None when none is due."""
        async with self._engine.begin() as connection:
            message = await queue.claim(connection, Channel.EMAIL, now=self._real.now())
            if message is None:
                return None
            # Nothing stands between the server's answer and its record but one statement and the commit.
            outcome = await postbox.send(compose(message, self._settings))
            match outcome:
                case Taken():
                    await queue.sent(connection, message, provider=PROVIDER, now=self._clock.now())
                case Refused(reason) if message.refusals + 1 >= REFUSALS_ALLOWED:
                    await queue.fail(
                        connection,
                        message,
                        reason="refused",
                        detail=reason,
                        provider=PROVIDER,
                        refusals=message.refusals + 1,
                        now=self._clock.now(),
                    )
                    log.error("e-mail refused for good", message_id=str(message.message_id), reason=reason)
                case Refused(reason) | Later(reason):
                    await queue.try_later(
                        connection,
                        message,
                        refusals=message.refusals + isinstance(outcome, Refused),
                        reason=reason,
                        next_attempt_at=self._real.now() + pause_after(message.attempts),
                    )
        return outcome


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after an attempt that failed, by how many there were before it."""
    doubled: timedelta = FIRST_PAUSE * 2 ** min(attempts, 16)
    return min(doubled, LONGEST_PAUSE)
