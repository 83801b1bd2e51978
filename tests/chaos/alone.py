"""How the programs begin and end that play one kind of trouble on engines of their own."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings
from tests.bench.say import say
from tests.bench.stage import VAR
from tests.chaos.home import NOT_OURS_TO_BREAK


def prepare() -> None:
    """Forget engines that are not ours to break, and keep the libraries' complaints out of the output."""
    for name in NOT_OURS_TO_BREAK:
        os.environ.pop(name, None)
    configure_logs(Settings(log_level="error"), service="chaos")
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # new topics make them complain, and try again


def conclude(report: Mapping[str, object], path: Path) -> NoReturn:
    """Write the report and say its verdict, its key `passed`; end with exit code 1 when that is false."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say()
    verdict = "passed" if report["passed"] else "NOT PASSED"
    say(f"{verdict}; all figures are in {path.relative_to(VAR.parent)}")
    raise SystemExit(0 if report["passed"] else 1)
