"""The moment at which a person in the county acts, and the chance that decides how."""

from dataclasses import dataclass
from datetime import date, datetime
from random import Random

from services.county import timetable
from services.county.draws import draw
from services.kernel.deadlines.calendar import WorkingCalendar


@dataclass(frozen=True, slots=True)
class Present:
    """One moment of simulated time in the county of one seed. `now` is aware."""

    seed: int
    calendar: WorkingCalendar
    now: datetime

    @property
    def today(self) -> date:
        """Return London's date."""
        return self.calendar.london_date(self.now)

    @property
    def at_work(self) -> bool:
        """Return whether practitioners other than emergency duty work now."""
        return timetable.at_work(self.now, self.calendar)

    @property
    def looks_into_inbox(self) -> bool:
        """Return whether people go through their inboxes now."""
        return timetable.looks_into_inbox(self.now, self.calendar)

    def draw(self, *about: object) -> Random:
        """Return the chance that belongs to a thing, whenever it is asked."""
        return draw(self.seed, *about)

    def working_days_after(self, since: date | datetime, count: int) -> datetime:
        """Return the beginning of the `count`-th working day after a day or moment; itself for 0."""
        if not isinstance(since, datetime):
            since = self.calendar.start_of_day(since)
        return timetable.working_days_after(since, count, self.calendar)
