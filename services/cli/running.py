"""Which system a command speaks to, and how a command ends when it cannot.

It says why in one sentence, without a traceback. Exit codes of every command: 0 done, 1 it failed or found a
problem, 2 wrong usage, wrong settings or no system to speak to.
"""

import asyncio
import logging
import os
from collections.abc import Coroutine, Iterable
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from aiokafka.errors import BrokerResponseError, KafkaError

from deploy.embedded.errors import EngineError
from services.cli.catalogue import SERVICES, service_of
from services.cli.output import printable
from services.kernel.base.clock import clock_of
from services.kernel.base.environment import WrongSettings, read_settings
from services.kernel.base.settings import Settings
from services.kernel.messages.faults import Refused
from services.kernel.pack.model import PackError
from services.kernel.processing.parking import TooManyFailed

VAR = Path("var")
NO_BROKER = "No broker answers at LEADLINE_KAFKA: is it running?"
NO_SYSTEM = (
    "No system runs from this directory: start one with `leadline up` or `leadline demo`,"
    " or set LEADLINE_KAFKA and LEADLINE_DATABASE."
)

T = TypeVar("T")


class Started(StrEnum):
    """The commands that start a system; where several run, other commands speak to the first of these."""

    UP = "up"
    DEMO = "demo"


CHOSEN: ContextVar[Started | None] = ContextVar("CHOSEN", default=None)
"""What --system or LEADLINE_SYSTEM picks."""


class Unable(Exception):  # noqa: N818 - an answer, not a mistake
    """The request cannot be carried out now; the text is one sentence for the person who asked."""


def fail(sentence: str, *, code: int = 1) -> NoReturn:
    """Say why on standard error and end the command."""
    typer.echo(printable(sentence), err=True)
    raise typer.Exit(code)


def refuse(what: str, name: str, known: Iterable[str]) -> NoReturn:
    """End the command with code 2 for an unknown name; list the known ones."""
    there = ", ".join(sorted(known)) or "none"
    fail(f"There is no {what} {name!r}. There are: {there}.", code=2)


def home_of(system: Started) -> Path:
    """Return the directory in which a system keeps its data, its logs and its address."""
    return VAR if system is Started.UP else VAR / system.value


def find_settings() -> Settings | None:
    """Return settings that reach a running system, or None when there is none.

    CHOSEN wins; then `LEADLINE_KAFKA` and `LEADLINE_DATABASE`; then what runs from this directory,
    `leadline up` before `leadline demo`. This process takes over the environment of the system found there.
    Raises Unable when the chosen system does not run, and WrongSettings.
    """
    chosen = CHOSEN.get()
    if chosen is None and os.environ.get("LEADLINE_KAFKA") and os.environ.get("LEADLINE_DATABASE"):
        return read_settings()
    try:
        from deploy.embedded.running import find_running  # noqa: PLC0415 - embedded mode is an extra
    except (ImportError, EngineError):
        return None  # without the extra no system can run from here
    found = {
        system: facts
        for system in (Started if chosen is None else [chosen])
        if (facts := find_running(home_of(system))) is not None
    }
    if not found:
        if chosen is not None:
            raise Unable(f"`leadline {chosen}` does not run from this directory: start it, or pick another.")
        return None
    system, *others = found
    for other in others:
        typer.echo(
            f"`leadline {system}` and `leadline {other}` both run here; this command uses the first."
            f" To pick the other: `leadline --system {other} ...`, or set LEADLINE_SYSTEM={other}.",
            err=True,
        )
    os.environ.update(found[system]["env"])
    return read_settings()


def current_settings() -> Settings:
    """Return settings that reach a running system; end the command with code 2 when there is none."""
    try:
        settings = find_settings()
        if settings is None:
            raise Unable(NO_SYSTEM)
        now_of(settings)
    except (Unable, WrongSettings) as unable:
        fail(str(unable), code=2)
    return settings


def own_settings() -> Settings:
    """Return the settings of a process of the system; end it with code 2 when they cannot be used."""
    try:
        settings = read_settings()
        now_of(settings)
    except (Unable, WrongSettings) as unable:
        fail(str(unable), code=2)
    return settings


def settings_to_start() -> Settings:
    """Return the settings under which a system is about to start; end the command with code 2 if it cannot.

    Embedded mode brings its own database and clock, and accepts shorter database addresses.
    """
    try:
        settings = read_settings(database=Settings.model_fields["database"].default)
        for name in SERVICES:
            service_of(name, settings)
    except (WrongSettings, PackError) as error:
        fail(str(error), code=2)
    return settings


def now_of(settings: Settings) -> datetime:
    """Return the current time of the services. Raises Unable when their clock gives none."""
    try:
        return clock_of(settings).now()
    except (OSError, ValueError, OverflowError):
        name = "LEADLINE_CLOCK_FILE" if settings.clock_file is not None else "LEADLINE_CLOCK_START"
        raise Unable(f"{name} gives no valid time: correct it, or unset it for real time.") from None


def quiet_clients() -> None:
    """Keep the Kafka clients' own log lines off the screen: the command reports the error itself."""
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def answered(question: Coroutine[Any, Any, T]) -> T:
    """Run a question to the bus or the stores and return the answer.

    Ends the command when there is no answer: code 1, or 2 when the policy pack or a setting is unusable.
    """
    quiet_clients()
    try:
        return asyncio.run(question)
    except Unable as unable:
        fail(str(unable))
    except Refused as refused:
        fail(refused.sentence)
    except (PackError, WrongSettings) as error:
        fail(str(error), code=2)
    except TooManyFailed as failed:
        fail(str(failed))
    except BrokerResponseError as error:
        fail(f"The broker refuses ({type(error).__name__}): `leadline doctor` says more.")
    except (KafkaError, OSError, UnicodeError):  # an invalid host name is a UnicodeError
        fail(NO_BROKER)
