"""The linter of our own finds what it is for."""

from pathlib import Path

import pytest

from tests.lint import ambiguous, borrowed, misplaced, sql_in


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""SELECT is a word here."""\n', []),
        ('CLAIM = """\n    SELECT 1\n"""\n', [1]),
        ('x = f"UPDATE {table} SET a = 1"\n', [1]),
        ('x = f"SELECT {columns} FROM cases"\n', [1]),
        ('x = "DELETE FROM outbox"\n', [1]),
        ("from sqlalchemy import text\n", [1]),
        ("from sqlalchemy.exc import SQLAlchemyError\n", []),
        ("from services.kernel.postgres.statements import sql\n", [1]),
        ("from services.kernel.postgres.connection import Connection\n", []),
        ("rows = await connection.execute(CLAIM, {})\n", [1]),
        ("answer = await executor.execute(command)\n", []),
        ('say("SELECTED")\n', []),
    ],
)
def test_statements_are_found_and_words_are_not(source: str, lines: list[int]) -> None:
    """A docstring may speak of SQL; a statement is one wherever it stands."""
    assert list(sql_in(source)) == lines


def test_sql_is_allowed_in_its_rooms_alone(tmp_path: Path) -> None:
    """By the name of the module, or of a package around it."""
    places = ("referral/store.py", "notify/queries/lists.py", "notify/store/people.py", "notify/handlers.py")
    for place in places:
        file = tmp_path / "services" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('CLAIM = "SELECT 1"\n')
    assert misplaced(tmp_path / "services") == ["services/notify/handlers.py:1"]


def test_statements_are_not_imported_from_a_store(tmp_path: Path) -> None:
    """Functions are, and so is whatever else a store says."""
    store = tmp_path / "services" / "notify" / "store" / "due.py"
    store.parent.mkdir(parents=True)
    store.write_text(
        'CLAIM = text("x")\nTOLD = sql("x")\nBEGINS = "SELECT 1"\nLIMIT = 200\n\n\ndef claim(): ...\n'
    )
    caller = tmp_path / "services" / "notify" / "due_scanner.py"
    caller.write_text("from services.notify.store.due import BEGINS, CLAIM, LIMIT, TOLD, claim\n")
    place = "services/notify/due_scanner.py:1"
    assert borrowed(tmp_path / "services") == [f"{place}: BEGINS", f"{place}: CLAIM", f"{place}: TOLD"]


def test_two_classes_of_one_name_are_found(tmp_path: Path) -> None:
    """Private ones, and what each service knows for itself, may have one."""
    classes = "class Case: ...\n\n\nclass Line: ...\n\n\nclass _Own: ...\n"
    for place in ("referral/model.py", "notify/model.py"):
        file = tmp_path / "services" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(classes)
    assert ambiguous(tmp_path / "services") == ["Line: services/notify/model.py, services/referral/model.py"]
