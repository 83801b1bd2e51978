"""The only module that reads the wall clock. With simulated time a month passes in a minute."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from services.kernel.base.settings import Settings


class Clock(Protocol):
    """Tells the time; all decisions receive their moment from here."""

    def now(self) -> datetime:
        """Return the current moment, aware, UTC."""
        ...


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class ScaledClock:
    """Time that started at `start` when the wall clock showed `epoch`, and runs `speed` times as fast."""

    start: datetime
    epoch: datetime
    speed: float

    def now(self) -> datetime:
        """Return the simulated time."""
        return (self.start + (datetime.now(UTC) - self.epoch) * self.speed).astimezone(UTC)


@dataclass(frozen=True)
class HeldClock:
    """Time that stands still until it is moved: all processes that share the file share the time.

    The file holds one moment as eight bytes (seconds since 1970), replaced in one write.
    """

    file: Path

    def now(self) -> datetime:
        """Return the held moment. Raises FileNotFoundError if none is set, ValueError for other content."""
        try:
            (seconds,) = struct.unpack("<d", self.file.read_bytes())
            return datetime.fromtimestamp(seconds, UTC)
        except (struct.error, OverflowError):
            message = "the file holds no moment"
            raise ValueError(message) from None

    def set(self, moment: datetime) -> None:
        """Move time to `moment`, atomically for every reader."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(struct.pack("<d", moment.timestamp()))
        fresh.replace(self.file)


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings specify; real time by default."""
    if settings.clock_file is not None:
        return HeldClock(settings.clock_file)
    if settings.clock_start is not None:
        epoch = settings.clock_epoch or datetime.now(UTC)
        return ScaledClock(settings.clock_start, epoch, settings.clock_speed)
    return SystemClock()
