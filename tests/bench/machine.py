"""Where and on what a benchmark ran."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types

from deploy.embedded.engines import Engines
from services.kernel.base.clock import SystemClock

ROOT = Path(__file__).parents[2]


def facts(engines: Engines) -> dict[str, Any]:
    """Return the machine, the engines and the code's revision."""
    return {
        "at": SystemClock().now().isoformat(timespec="seconds"),
        "revision": revision(),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "broker": engines.kafka_name,
        "database": engines.database_name,
        "load_before": round(os.getloadavg()[0], 2),
    }


def revision() -> str:
    """Return the revision that is checked out."""
    return _git("rev-parse", "HEAD")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
