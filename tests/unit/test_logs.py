"""Logs carry ids, codes, types and places: never a value that an error quotes."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings

MARKED = "Marked Name of 1 Example Street"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_our_own_errors_are_logged_without_their_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Type and place are there, the words are not."""
    configure_logs(Settings(), service="referral", for_good=False)
    try:
        raise ValueError(MARKED)
    except ValueError:
        structlog.get_logger().exception("batch failed", dead_letter_id="1")
    (line,) = lines(capsys)
    assert line["error"] == "ValueError"
    assert "test_logs.py" in line["at"]
    assert MARKED not in json.dumps(line)


def test_a_library_that_quotes_an_error_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """Mode logs `Crashed reason=%r`: only who reports and what kind of error is kept."""
    configure_logs(Settings(), service="referral", for_good=False)
    try:
        raise ValueError(MARKED)
    except ValueError as error:
        logging.getLogger("mode").exception("Crashed reason=%r", error)
    (line,) = lines(capsys)
    assert line["event"] == "mode reports an error"
    assert MARKED not in json.dumps(line)


def test_a_field_that_could_be_personal_loses_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in our own code shows as withheld."""
    configure_logs(Settings(), service="referral", for_good=False)
    structlog.get_logger().warning("look", name=MARKED, case_id="7")
    (line,) = lines(capsys)
    assert line["name"] == "[withheld]"
    assert line["case_id"] == "7"


def test_an_address_without_a_place_for_the_service_is_refused() -> None:
    """All services in one database would be one store."""
    with pytest.raises(ValueError, match="where the service's name belongs"):
        Settings(database="postgresql+asyncpg://x@127.0.0.1/leadline")
