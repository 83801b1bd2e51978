"""A worker that was killed is back soon: what only the pages need is not loaded with the command."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("library", ["fastapi", "uvicorn", "jinja2"])
def test_a_worker_starts_without_the_web_framework(library: str) -> None:
    """It took a fifth of the time until a worker was up again."""
    loaded = f"import sys, services.cli.main, services.notify.app; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
