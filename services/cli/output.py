"""How commands print: tables on a terminal, plain aligned columns in a pipe, JSON for scripts."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from services.kernel.deadlines.calendar import LONDON
from services.kernel.store.cursors import Cursors, Key, WrongCursor


def show_rows(headers: Sequence[str], rows: Sequence[Sequence[object]], *, title: str) -> None:
    """Print rows: a table on a terminal, else a line of headers and aligned columns, never truncated."""
    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(title=title, title_justify="left")
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell, style=style_of(cell)) for cell in row))
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for row in ([*headers], *cells):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def show_line(*parts: str) -> None:
    """Print one line, each part in the colour of its meaning; colours only on a terminal."""
    text = Text(" ").join(Text(printable(part), style=style_of(part)) for part in parts)
    Console().print(text, soft_wrap=True)


def show_json(data: Any) -> None:
    """Print plain data as JSON; moments and ids become text."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def style_of(cell: str) -> str:
    """Return the colour of a word that states an outcome."""
    word = cell.strip()
    if word in {"problem", "finding", "parked", "failed again"} or word.startswith("OVERDUE"):
        return "bold red"
    if word in {"warning", "could not look", "waiting", "due", "due_soon"}:
        return "yellow"
    return "green" if word in {"ok", "replayed"} else ""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 event`, `2 events`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def printable(text: str) -> str:
    """Return text that cannot control a terminal: outside text may hold escape sequences."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def london(moment: datetime | None) -> str:
    """Return a moment as people in England write it, to the minute."""
    return "" if moment is None else moment.astimezone(LONDON).strftime("%Y-%m-%d %H:%M")


def key_of(after: str, cursors: Cursors) -> Key:
    """Return the key of a cursor. Raises BadParameter for a cursor of another list."""
    try:
        return cursors.read(after)
    except WrongCursor as error:
        raise typer.BadParameter(str(error), param_hint="--after") from None


def more_rows(*, after: str | int) -> None:
    """Say on standard error that there are more rows, and how to see them."""
    typer.echo(f"There are more: add --after {after}, or a larger --limit.", err=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a progress bar on standard error; it appears on a terminal only and is removed at the end."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (console.is_terminal and sys.stderr.isatty()),
    ) as progress:
        yield progress
