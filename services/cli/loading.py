"""Commands are loaded on first use, so that a process imports only what its own command needs."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Literal, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

MARKUP: Literal["markdown"] = "markdown"
"""Joins the lines of a docstring's paragraph."""

PLACES: Mapping[str, str] = {
    "up": "run.up",
    "demo": "playing.demo",
    "worker": "run.worker",
    "web": "run.web",
    "doctor": "doctor.doctor",
    "audit": "audit.audit",
    "rejoin": "rejoin.rejoin",
    "deadlines": "deadlines.list_deadlines",
    "import-ssda903": "importing.import_ssda903",
    "dead-letters": "dead_letters.app",
    "agency-keys": "agency_keys.app",
    "subscriptions": "subscriptions.app",
    "journal": "journal.app",
    "topics": "topics.app",
}
"""The place of each command, or group of commands, in `services/cli`; in the order of `--help`."""


class Loading(Mapping[str, Any]):
    """The commands by name. Looking one up loads it; iterating over the names loads none."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return a command. Raises KeyError for an unknown name."""
        if name not in self._loaded:
            module, _, attribute = PLACES[name].partition(".")
            self._loaded[name] = _command(name, getattr(import_module(f"services.cli.{module}"), attribute))
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(PLACES)

    def __len__(self) -> int:
        """Return how many commands there are."""
        return len(PLACES)


def _command(name: str, found: Any) -> Any:
    parent = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
    if isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
        return cast("TyperGroup", get_command(parent)).commands[name]
    parent.command(name)(found)
    return get_command(parent)
