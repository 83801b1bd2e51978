"""The demo: a simulated county plays a month on the running system, and the system reports its figures."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.county.driver import Play, Played, PlayedMoment
from services.county.figures import Figures
from services.county.pack import CountyPack
from services.county.partner_bus import PartnerBus
from services.county.plan import county_month
from services.county.practitioners import Practitioners
from services.county.site import Site
from services.county.timetable import moments
from services.kernel.base.clock import HeldClock
from services.kernel.base.settings import Settings
from services.kernel.deadlines.calendar import LONDON
from services.kernel.pack.model import load_pack

START = datetime(2026, 9, 7, tzinfo=LONDON)
"""A Monday at the beginning of a school year."""

_LINE_EVERY_DAYS = 5
"""How often progress is printed when there is no terminal to draw on."""


@dataclass(frozen=True)
class Summary:
    """How a demo went: the system's own figures, and their differences from what was sent."""

    figures: Figures
    differences: tuple[str, ...]
    simulated_days: int
    seconds: float
    broker: str
    database: str
    inbox: str

    @property
    def ok(self) -> bool:
        """Return whether nothing was lost, doubled or set aside, and no open case fell through the net."""
        net, parked = self.figures.net, self.figures.standing.parked
        through = net.open_cases_without_lead + net.open_cases_without_deadline
        return not self.differences and not parked and not through

    def as_json(self) -> str:
        """Return the figures as one line of JSON."""
        return json.dumps(
            {
                "ok": self.ok,
                **self.figures.as_data(),
                "differences": list(self.differences),
                "simulated_days": self.simulated_days,
                "seconds": round(self.seconds, 1),
                "broker": self.broker,
                "database": self.database,
            }
        )


def run_demo(
    site: str,
    kafka: str,
    clock_file: Path,
    *,
    policy: Path,
    console: Console,
    seed: int = 42,
    days: int = 30,
    scale: float = 1.0,
    start: datetime = START,
    once: bool = False,
    broker: str = "",
    database: str = "",
) -> Summary:
    """Play a simulated county against the system at `site`, show its progress and return its summary.

    The system's processes must read their time from `clock_file` (LEADLINE_CLOCK_FILE) and hold no data later
    than `start`. `kafka` is the bootstrap address, `policy` the pack that the system uses.
    `broker` and `database` are names for the summary. With `once` the last line is the summary as JSON.

    Blocks until the month is over; leaves the system running. Raises PlayError when the system refuses valid
    input or does not come to rest, PackError for a pack with mistakes.
    """
    pack = load_pack(policy, CountyPack)
    began = time.monotonic()

    async def play() -> tuple[Played, Figures]:
        people = Practitioners(seed, pack, pack.working_calendar)
        plan = county_month(seed, start, days, scale, localities=pack.places)
        stops = moments(start, days, pack.working_calendar)
        connection = Settings(kafka=kafka).kafka_client()
        async with Site(site) as client, PartnerBus(connection) as bus:
            with _progress(console, days=days, start=start) as watch:
                county = Play(client, bus, HeldClock(clock_file), people)
                played = await county.run(plan, stops, watch=watch)
            return played, await Figures.ask(client, played.after)

    played, figures = asyncio.run(play())
    summary = Summary(
        figures=figures,
        differences=tuple(played.differences),
        simulated_days=days,
        seconds=time.monotonic() - began,
        broker=broker,
        database=database,
        inbox=f"{site.rstrip('/')}/inbox",
    )
    show(summary, console)
    if once:
        console.out(summary.as_json(), highlight=False)
    return summary


def show(summary: Summary, console: Console) -> None:
    """Print a summary as tables, any differences, and where to look."""
    for table in tables(summary):
        console.print(table)
    for difference in summary.differences:
        console.print(f"DIFFERENCE: {difference}", style="bold red", highlight=False, soft_wrap=True)
    net = summary.figures.net
    console.print(
        f"{net.open_cases} open cases; {net.open_cases_without_lead} without a lead professional, "
        f"{net.open_cases_without_deadline} without a next date. "
        f"{summary.figures.standing.parked} events set aside.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"{summary.simulated_days} days in {summary.seconds:.0f} seconds.", highlight=False)
    console.print(f"Inboxes: {summary.inbox}", highlight=False, soft_wrap=True)


def tables(summary: Summary) -> list[Table]:
    """Return the figures as tables."""
    figures, data = summary.figures, summary.figures.as_data()
    return [
        _referrals(figures),
        _counts(
            "Cases",
            {
                "lead professionals assigned": data["lead_professionals_assigned"],
                "assessments completed": data["assessments_completed"],
                **figures.levels,
                "plans reviewed": data["plans_reviewed"],
                "closed": data["cases_closed"],
                "open": data["open_cases"],
            },
        ),
        _counts(
            "Placements",
            {
                "requested": data["placements_requested"],
                "started": data["placements_started"],
                "in the county": data["placements_in_county"],
                "out of the county": data["placements_out_of_county"],
                "reviewed": data["placements_reviewed"],
                "ended": data["placements_ended"],
                "exit interviews due": data["exit_interviews_due"],
                "exit interviews overdue": data["exit_interviews_overdue"],
                "exit interviews completed": data["exit_interviews_completed"],
            },
        ),
        _deadlines(figures),
        _counts("Alerts by kind", figures.alerts.by_kind),
        _counts(
            "Events by service",
            {status.service: sum(status.events.values()) for status in figures.standing.services},
        ),
    ]


def _referrals(figures: Figures) -> Table:
    states = ("accepted", "redirected", "closed", "received")
    table = Table(title="Referrals by source and decision", title_justify="left")
    table.add_column("source")
    for heading in ("accepted", "redirected", "closed", "undecided", "all"):
        table.add_column(heading, justify="right")
    counts: dict[str, dict[str, int]] = {}
    for figure in figures.referrals:
        counts.setdefault(figure.agency, dict.fromkeys(states, 0))[figure.status] = figure.count
    for agency, row in sorted(counts.items()):
        table.add_row(agency, *(str(row[state]) for state in states), str(sum(row.values())))
    totals = [sum(row[state] for row in counts.values()) for state in states]
    table.add_section()
    table.add_row("all", *map(str, totals), str(sum(totals)))
    return table


def _deadlines(figures: Figures) -> Table:
    steps = ("scheduled", "due_soon", "due", "overdue", "met", "waived")
    table = Table(title="Deadlines by service", title_justify="left")
    table.add_column("service")
    for step in steps:
        table.add_column(step.replace("_", " "), justify="right")
    for status in figures.standing.services:
        if status.events.get("deadline.scheduled"):
            counts = (status.events.get(f"deadline.{step}", 0) for step in steps)
            table.add_row(status.service, *map(str, counts))
    return table


def _counts(title: str, counts: Mapping[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.items():
        table.add_row(name, str(count))
    return table


@contextmanager
def _progress(console: Console, *, days: int, start: datetime) -> Iterator[Callable[[PlayedMoment], None]]:
    """Yield a function that shows each moment: as a bar on a terminal, elsewhere as a line every few days."""
    if not console.is_terminal:
        yield lambda moment: _tell(console, moment, start=start)
        return
    with Progress(
        TextColumn("{task.fields[day]}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("", total=days * 24, day=f"{start:%a %d %b %Y}", counts="")

        def watch(moment: PlayedMoment) -> None:
            local = moment.at.astimezone(LONDON)
            gone = (local - start.astimezone(LONDON)) / timedelta(hours=1)
            progress.update(task, completed=gone, day=f"{local:%a %d %b %Y}", counts=_counters(moment))

        yield watch


def _tell(console: Console, moment: PlayedMoment, *, start: datetime) -> None:
    local = moment.at.astimezone(LONDON)
    day = (local.date() - start.astimezone(LONDON).date()).days
    if local.hour == 0 and day and day % _LINE_EVERY_DAYS == 0:
        console.out(f"{local:%a %d %b %Y}  {_counters(moment)}", highlight=False)


def _counters(moment: PlayedMoment) -> str:
    events = moment.standing.events
    return (
        f"{events['referral.received']} referrals, {events['assessment.started']} cases, "
        f"{events['placement.started']} placements, {events['alert.raised']} alerts"
    )
