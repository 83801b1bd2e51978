"""Arguments and options that several commands share, and their bounds."""

import math
from typing import Annotated

import typer

from services.cli.catalogue import ServiceName

MOST_ROWS = 10_000
LAST_POSITION = 2**63 - 1
"""Positions of a journal are PostgreSQL's bigint."""

LONGEST = 500
"""Characters of an argument; addresses of chats are the longest."""


def plain(text: str | None) -> str | None:
    """Refuse text that no store accepts or no terminal shows: control characters, broken bytes, too long."""
    if text is not None and (not text.isprintable() or len(text) > LONGEST):
        raise typer.BadParameter(f"write it in printable characters, at most {LONGEST}")
    return text


def finite(number: float | None) -> float | None:
    """Refuse NaN and infinity, which `min` and `max` alone let pass."""
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter("must be a finite number")
    return number


ServiceOption = Annotated[ServiceName | None, typer.Option("--service", help="Only this service.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="Show at most this many.")]
After = Annotated[
    str | None,
    typer.Option(metavar="CURSOR", help="Continue from the cursor that the previous list printed."),
]
