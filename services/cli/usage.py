"""Messages about wrong usage: in the project's own words, and with the names that exist."""

from collections.abc import Iterable
from typing import Any, cast

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from services.cli.loading import Loading
from services.kernel.base.complaints import complaint

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The exception that typer raises for all wrong usage; it exports only a subclass."""


class Commands(TyperGroup):
    """The group of all commands. It rewords the usage errors of every command's own parser."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("dict[str, Any]", Loading())

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            _reword(error)
            raise

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before a command's name."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            _reword(error)
            raise


def _reword(error: Any) -> None:
    if isinstance(error.__cause__, ValidationError):
        details = error.__cause__.errors(include_url=False)[0]
        error.message = f"{complaint(details).removeprefix('is wrong: ').rstrip('.')}."
        return
    command = getattr(error.ctx, "command", None)
    if error.message.startswith("No such command"):
        error.message += _these(getattr(command, "commands", ()))
    elif error.message.startswith("No such option"):
        options = [each for each in getattr(command, "params", ()) if each.param_type_name == "option"]
        error.message += _these([*(name for each in options for name in each.opts), "--help"])


def _these(names: Iterable[str]) -> str:
    known = ", ".join(names)
    return f" There are: {known}." if known else ""
