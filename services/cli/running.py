"""Which system a command speaks to, and how a command ends when that does not work.

Then it says why in one sentence, without a traceback. Exit codes of every command: 0 done, 1 it failed or
found a problem, 2 wrong usage or no system to speak to.
"""

import asyncio
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from deploy.embedded.errors import EngineError
from services.kernel.faults import Refused
from services.kernel.pack import PackError
from services.kernel.parking import TooManyFailed
from services.kernel.settings import Settings

VAR = Path("var")
NO_BROKER = "No broker answers at LEADLINE_KAFKA: is it running?"

T = TypeVar("T")


class Unable(Exception):  # noqa: N818 - an answer, not a mistake
    """What was asked cannot be done now; the text is one sentence for the person who asked."""


def fail(sentence: str, *, code: int = 1) -> NoReturn:
    """Say why on standard error and end the command."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def find_settings() -> Settings | None:
    """Return settings that reach a running system, or None when there is none.

    `LEADLINE_KAFKA` and `LEADLINE_DATABASE` win; else `leadline up` of this directory, whose environment this
    process then takes over. Raises Unable when a setting is wrong.
    """
    if os.environ.get("LEADLINE_KAFKA") and os.environ.get("LEADLINE_DATABASE"):
        return read_settings()
    try:
        from deploy.embedded.running import find_running  # noqa: PLC0415 - embedded mode is an extra
    except (ImportError, EngineError):
        return None  # without the extra nothing can run from here
    running = find_running(VAR)
    if running is None:
        return None
    os.environ.update(running["env"])
    return read_settings()


def read_settings() -> Settings:
    """Return the settings of the environment. Raises Unable, which names wrong variables but not values."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"LEADLINE_{'_'.join(map(str, details['loc'])).upper()}: {details['msg']}"
            for details in error.errors(include_url=False, include_input=False)
        )
        raise Unable(f"The environment has wrong settings: {wrong}.") from None


def current_settings() -> Settings:
    """Return settings that reach a running system; end the command with code 2 when there is none."""
    try:
        settings = find_settings()
    except Unable as unable:
        fail(str(unable), code=2)
    if settings is None:
        fail(
            "No system runs from this directory: start one with `leadline up`,"
            " or set LEADLINE_KAFKA and LEADLINE_DATABASE.",
            code=2,
        )
    return settings


def quiet_clients() -> None:
    """Keep the Kafka clients' own log lines off the screen: the command says the same in its sentence."""
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def answered(question: Coroutine[Any, Any, T]) -> T:
    """Run a question to the bus or the stores and return the answer.

    Ends the command when there is none: code 1, or 2 when the policy pack cannot be used.
    """
    quiet_clients()
    try:
        return asyncio.run(question)
    except Unable as unable:
        fail(str(unable))
    except Refused as refused:
        fail(refused.sentence)
    except PackError as error:
        fail(str(error), code=2)
    except TooManyFailed as failed:
        fail(str(failed))
    except (KafkaError, OSError):
        fail(NO_BROKER)
