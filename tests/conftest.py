"""What every test may ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.embedded.engines import Engines, running_engines
from deploy.embedded.errors import AlreadyRunningError
from tests.needs_kafka import _needs_kafka, pytest_terminal_summary
from tests.sharing import OWN_ENGINES, Parts, turn_of

__all__ = ["_needs_kafka", "pytest_terminal_summary"]

TESTS = Path(__file__).parent
VAR = TESTS.parent / "var"

# How long one example takes says how busy the machine is; a test that hangs is ended by its timeout.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what begins first to the front; the order within a file stays."""
    if missing := [path for path in OWN_ENGINES if not (TESTS.parent / path).exists()]:
        raise pytest.UsageError(f"tests/sharing.py names files that have gone: {missing}")
    items.sort(key=lambda item: turn_of(item.path.relative_to(TESTS.parent).as_posix()))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Parts:
    """Let processes share the tests part by part."""
    return Parts(config, log)


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
