"""The browser's session: a signed cookie, and the token that every form sends back."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeSerializer

from services.kernel.base.clock import Clock

COOKIE = "leadline_session"
"""The cookie's name. Over https it begins with `__Host-`, so that no neighbouring site can set it."""
LASTS = timedelta(hours=12)
"""Everyone signs in again after a day's work."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. `person_id` is None if no one has signed in yet, but a form was issued."""

    person_id: str | None
    token: str
    """Every form sends it back, so that no other site can send a form in this browser's name."""
    until: datetime

    def matches(self, token: str) -> bool:
        """Return whether a form was issued to this browser."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class Sessions:
    """Reads and writes the cookie. `clock` is real time: a session is not part of a simulated county.

    The server stores nothing: the cookie names the person, and its signature proves that we issued it.
    Without a configured secret each process has its own, and everyone signs in again after a restart.
    """

    def __init__(self, secret: str | None, clock: Clock, *, secure: bool) -> None:
        key = secret or secrets.token_urlsafe(32)
        self._cookie = f"__Host-{COOKIE}" if secure else COOKIE
        self._signed = URLSafeSerializer(key, salt="leadline-session")
        self._clock = clock
        self._secure = secure

    def start(self, person_id: str | None) -> Session:
        """Return a new session, with a new token."""
        return Session(person_id, secrets.token_urlsafe(24), self._clock.now() + LASTS)

    def find(self, request: Request) -> Session | None:
        """Return the browser's session; None when it has none, or one that is expired or not ours."""
        cookie = request.cookies.get(self._cookie)
        if cookie is None:
            return None
        try:
            person_id, token, until = self._signed.loads(cookie)
            session = Session(person_id, token, datetime.fromtimestamp(until, UTC))
        except (BadSignature, ValueError, TypeError):
            return None
        return session if self._clock.now() < session.until else None

    def keep(self, response: Response, session: Session) -> None:
        """Set the session cookie."""
        response.set_cookie(
            self._cookie,
            str(self._signed.dumps([session.person_id, session.token, session.until.timestamp()])),
            max_age=int(LASTS.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )

    def end(self, response: Response) -> None:
        """Delete the session cookie."""
        response.delete_cookie(self._cookie, httponly=True, samesite="lax", secure=self._secure)
