"""Say in one sentence what keeps this Python from running Leadline; say nothing when it suits.

The Makefile asks the Python that it is about to use, so this file is written for Python 3.6 and later. The
sentence lacks its full stop: make adds one.
"""

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def problem() -> str:
    """Return the sentence, or an empty string."""
    bounds = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', PYPROJECT.read_text(encoding="utf-8"))
    if bounds is None:
        return f"{PYPROJECT} does not say which Python is needed: restore the file"
    oldest, newest = int(bounds.group(1)), int(bounds.group(2)) - 1
    major, minor = sys.version_info[:2]
    if not (3, oldest) <= (major, minor) <= (3, newest):
        return (
            f"Leadline needs Python 3.{oldest} to 3.{newest} and this one is {major}.{minor}: name another "
            f"one, for example `make PYTHON=python3.{newest}`"
        )
    try:
        import ensurepip  # noqa: F401, PLC0415 - whether they are there is the question
        import venv  # noqa: F401, PLC0415
    except ImportError:
        return f"This Python cannot make an environment: {_remedy()}, then run this again"
    return ""


def _remedy() -> str:
    if not Path("/etc/debian_version").exists():
        return "install what your system calls Python's modules venv and ensurepip"
    name = Path(sys.executable).name
    return f"apt-get install {name if re.fullmatch(r'python3([.][0-9]+)?', name) else 'python3'}-venv"


if __name__ == "__main__":
    print(problem())  # noqa: T201 - what this file is for
