"""When a sender pauses: after consecutive failures, for a time that doubles. Pure; one per sender."""

from datetime import datetime, timedelta

FAILURES_IN_A_ROW = 3
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=1)


class Breaker:
    """Counts failures of a far side. Open: nothing is sent. After the pause one message tries again."""

    def __init__(self) -> None:
        self._failures = 0
        self._pauses = 0
        self._open_until: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Return whether sending is barred now."""
        return self._open_until is not None and now < self._open_until

    @property
    def is_probing(self) -> bool:
        """Whether the next message is the one that tests whether the far side is back."""
        return self._open_until is not None

    def succeed(self) -> None:
        """Note that the far side has answered normally."""
        self._failures = self._pauses = 0
        self._open_until = None

    def fail(self, now: datetime) -> None:
        """Note that a message failed because of the far side."""
        self._failures += 1
        if self.is_probing or self._failures >= FAILURES_IN_A_ROW:
            self.trip(now)

    def trip(self, now: datetime, pause: timedelta | None = None) -> timedelta:
        """Open for a pause: the given one, or twice as long as the last. Return it."""
        if pause is None:
            pause = min(FIRST_PAUSE * 2**self._pauses, LONGEST_PAUSE)
            self._pauses = min(self._pauses + 1, 16)
        self._failures = 0
        self._open_until = now + pause
        return pause
