"""What every test may ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.embedded.engines import Engines, running_engines
from deploy.embedded.errors import AlreadyRunningError
from tests.needs_kafka import _needs_kafka, pytest_terminal_summary

__all__ = ["_needs_kafka", "pytest_terminal_summary"]

VAR = Path(__file__).parents[1] / "var"


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """Real engines, empty at the start of the session; `LEADLINE_KAFKA` and `LEADLINE_DATABASE` are honoured.

    Sessions that run at the same time in one checkout get their own: `var/test/0`, `var/test/1` and so on.
    """
    with ExitStack() as stack:
        for number in range(16):
            try:
                manager = running_engines(
                    VAR / "test" / str(number),
                    say=_report,
                    free_ports=True,
                    fresh=True,
                    cache=VAR / "engines",
                )
                running = stack.enter_context(manager)
            except AlreadyRunningError:
                continue
            break
        else:
            pytest.fail("16 test sessions already run in this checkout")
        yield running


def _report(_: str) -> None:
    """Keep quiet: pytest's output belongs to the tests."""
