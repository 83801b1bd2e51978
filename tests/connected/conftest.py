"""What connected tests share: data that nobody here wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE_DATA = Path(__file__).parents[2] / "var" / "sample-data"
SAMPLE_PACKAGE = "cs-demand-model==0.5.1"


@pytest.fixture(scope="session")
def sample_returns() -> Path:
    """Five years of a made-up council's statutory return, from a published package, fetched once.

    The same place and the same command as `make sample-data`; nothing of it is kept in the repository.
    """
    directory = SAMPLE_DATA / "cs_demand_model_samples" / "combined"
    if not directory.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*command, str(SAMPLE_DATA), SAMPLE_PACKAGE], check=True, timeout=120)
    return directory
