"""The acts of partner agencies as timed facts: fixed before the play begins, whatever the system answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal

from schemas.events import ReferralMade
from schemas.events.codes import AgencyKind, Concern
from services.county.draws import counted, county_id, draw
from services.county.people import Agency, Channel, County, Family
from services.kernel.deadlines.calendar import LONDON, WorkingCalendar

Repeats = Literal["nothing", "delivery", "entry"]
"""`delivery`: the same message once more. `entry`: the same referral typed in again, as a new message."""

NO_LOCALITY = "not-recorded"
"""What an agency's system sends when nobody has filled in where the child lives."""

_WHOLE_FAMILY, _SECOND_AGENCY, _REDELIVERED, _ENTERED_TWICE, _NO_LOCALITY = 0.5, 0.1, 0.05, 0.03, 0.06


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an agency sends at one moment. `message_id` is the event's id, or Idempotency-Key."""

    at: datetime
    channel: Channel
    message_id: str
    referral: ReferralMade
    repeats: Repeats = "nothing"

    @property
    def source(self) -> str:
        """Return the agency's name for itself as the source of a CloudEvent."""
        return f"/partners/{self.referral.agency_id}"


def county_month(
    seed: int, start: datetime, days: int, scale: float = 1.0, *, localities: Sequence[str]
) -> list[Step]:
    """Return what the agencies of a county send from `start` on, in the order of time.

    `start` is aware; `days` are London's, the first one the day of `start`. More days add steps and change
    none of the earlier days' calls.
    """
    county = County.of(seed, localities=localities, scale=scale)
    first = start.astimezone(LONDON).date()
    calendar = WorkingCalendar()
    end = calendar.start_of_day(first + timedelta(days=days))
    steps = [
        step
        for agency in county.agencies
        for offset in range(days)
        for step in _day_of(agency, county, first + timedelta(days=offset), calendar)
        if start <= step.at < end
    ]
    return sorted(steps, key=lambda step: (step.at, step.message_id, step.repeats))


def _day_of(agency: Agency, county: County, day: date, calendar: WorkingCalendar) -> Iterator[Step]:
    always = agency.habits.hours is None
    if not always and not calendar.is_working_day(day):
        return
    chance = draw(county.seed, "calls", agency.agency_id, day)
    weekly = agency.habits.weekly * county.scale
    for number in range(1, counted(chance, weekly / (7 if always else 5)) + 1):
        yield from _call(agency, county, day, number)


def _call(agency: Agency, county: County, day: date, number: int) -> Iterator[Step]:
    chance = draw(county.seed, "call", agency.agency_id, day, number)
    family = chance.choice(county.families)
    together = chance.random() < _WHOLE_FAMILY
    children = family.children if together else (chance.choice(family.children),)
    at = _moment(chance, day, agency.habits.hours or (0, 24))
    kind_of_call = chance.random()
    immediate = kind_of_call < agency.habits.immediate
    informing = not immediate and kind_of_call > 1 - agency.habits.informing
    concerns = _concerns(chance, agency, immediate=immediate)
    lost = agency.habits.channel == "bus" and chance.random() < _NO_LOCALITY
    for position, child_id in enumerate(children, start=1):
        reference = f"{agency.agency_id}:{day:%Y%m%d}:{number}:{position}"
        step = Step(
            at=at,
            channel=agency.habits.channel,
            message_id=str(county_id(county.seed, "message", reference)),
            referral=ReferralMade(
                child_id=child_id,
                family_id=family.family_id if together or chance.random() < 0.5 else None,
                agency=agency.kind,
                agency_id=agency.agency_id,
                agency_reference=reference,
                locality=NO_LOCALITY if lost else family.locality,
                concerns=concerns,
                immediate_risk=immediate,
                information_only=informing,
                made_at=at,
            ),
        )
        yield step
        yield from _repetitions(chance, step)
        if not immediate and chance.random() < _SECOND_AGENCY:
            yield _second_agency(chance, county, step, family)


def _repetitions(chance: Random, step: Step) -> Iterator[Step]:
    later = step.at + timedelta(minutes=chance.randint(2, 30 * 60))
    if chance.random() < _REDELIVERED:
        yield replace(step, at=later, repeats="delivery")
    if chance.random() < _ENTERED_TWICE:
        again = str(county_id(0, "entered again", step.message_id))
        yield replace(step, at=later, message_id=again, repeats="entry")


def _second_agency(chance: Random, county: County, step: Step, family: Family) -> Step:
    """Return another agency's referral of the same child, some days later."""
    others = [agency for agency in county.agencies if agency.kind is AgencyKind.POLICE]
    agency = chance.choice([other for other in others if other.agency_id != step.referral.agency_id])
    at = step.at + timedelta(minutes=chance.randint(1 * 24 * 60, 12 * 24 * 60))
    reference = f"{agency.agency_id}:{at:%Y%m%d}:after:{step.message_id[:8]}"
    referral = ReferralMade(
        child_id=step.referral.child_id,
        agency=agency.kind,
        agency_id=agency.agency_id,
        agency_reference=reference,
        locality=family.locality,
        concerns=(Concern.ABUSE_OR_NEGLECT,),
        made_at=at,
    )
    message_id = str(county_id(county.seed, "message", reference))
    return Step(at=at, channel="bus", message_id=message_id, referral=referral)


def _concerns(chance: Random, agency: Agency, *, immediate: bool) -> tuple[Concern, ...]:
    (count,) = chance.choices((1, 2, 3), (68, 24, 8))
    found = chance.sample(agency.habits.concerns, min(count, len(agency.habits.concerns)))
    if immediate and Concern.ABUSE_OR_NEGLECT not in found:
        found.insert(0, Concern.ABUSE_OR_NEGLECT)
    return tuple(found)


def _moment(chance: Random, day: date, hours: tuple[int, int]) -> datetime:
    minutes = chance.randrange(hours[0] * 60, hours[1] * 60)
    local = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=LONDON)
    return local.astimezone(UTC)
