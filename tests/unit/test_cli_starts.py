"""A worker that was killed is back soon: what only pages or the demo need is not loaded with it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "services.county.driver"])
def test_a_worker_starts_without_pages_and_demo(module: str) -> None:
    """They took a quarter of the time until a worker was up again."""
    loaded = f"import sys, services.cli.main, services.notify.app; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
