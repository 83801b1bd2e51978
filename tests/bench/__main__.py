"""`python -m tests.bench`: measure, print tables, write the report under `var/bench/`; --help says more."""

import asyncio
import json
import logging

from deploy.embedded.supervisor import exit_on_signals
from services.kernel.base.logs import configure_logs
from services.kernel.base.settings import Settings
from tests.bench import landing
from tests.bench.command import choose
from tests.bench.parts import bench
from tests.bench.report import missing
from tests.bench.say import say
from tests.bench.stage import VAR


def main() -> None:
    """Run the benchmark; the exit code is 1 when a recount disagreed or something could not be measured."""
    choice = choose()
    if choice.land:
        keep()
        return
    configure_logs(Settings(log_level="error"), service="bench")
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # new topics make them complain, and try again
    with exit_on_signals():
        report = asyncio.run(bench(choice))
    absent = missing(report) if choice.whole else []
    report["missing"] = absent
    landing.tell(report, choice)
    choice.report.parent.mkdir(parents=True, exist_ok=True)
    choice.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say()
    say(f"everything agrees with the recount: {'yes' if report['consistent'] else 'NO'}")
    for key in absent:
        say(f"missing in the report: {key}")
    say(f"{report['seconds']} seconds; all figures are in {choice.report.relative_to(VAR.parent)}")
    raise SystemExit(0 if report["consistent"] and not report["failed"] and not absent else 1)


def keep() -> None:
    """Land the last whole run; the exit code is 1, with a sentence, when it cannot stand for the revision."""
    try:
        landing.land()
    except landing.NotLanded as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
