"""`python -m tests.bench [--quick]`: measure, print tables, write `var/bench/latest.json`."""

import argparse
import asyncio
import json
import time
from typing import Any

from deploy.embedded.supervisor import exit_on_signals
from services.assessment.pack import AssessmentPack
from services.kernel.pack import load_pack
from services.kernel.settings import Settings
from tests.bench import limit, machine, pipeline
from tests.bench.backlog import backlog
from tests.bench.run import Work
from tests.bench.say import say
from tests.bench.scale import FULL, QUICK, Scale
from tests.bench.stage import VAR, staged

REPORT = VAR / "bench" / "latest.json"


async def bench(scale: Scale) -> dict[str, Any]:
    """Measure everything at one scale and return the report."""
    begun = time.monotonic()
    pack = load_pack(Settings().policy, AssessmentPack)
    localities = [locality.code for locality in pack.localities]
    async with staged() as stage:
        report: dict[str, Any] = {"scale": scale.name, "machine": machine.facts(stage.engines)}
        for name, value in report["machine"].items():
            say(f"{name}: {value}")

        measured = await pipeline.run_pipeline(stage, scale, pack)
        report |= pipeline.figures(measured, scale)
        pipeline.show(measured)

        work = Work(list(backlog(scale.events, localities)))
        found = await limit.measure_limit(stage, work, pack, batch=Settings().batch)
        ours = report["pipeline"]["one_worker_events_s"]
        limit.show(found, ours)
        report["limit"] = {
            "events_s": round(found.events_s),
            "database_events_s": round(found.database_events_s),
            "broker_events_s": round(found.broker_events_s),
        }
        report["pipeline"]["share_of_limit"] = round(ours / found.events_s, 3)

    faults = [*measured.faults, *(f"limit: {fault}" for fault in found.faults)]
    report["consistent"] = not faults
    report["faults"] = faults
    report["seconds"] = round(time.monotonic() - begun)
    return report


def main() -> None:
    """Run the benchmark; the exit code is 1 when a recount disagreed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: ends within five minutes")
    scale = QUICK if parser.parse_args().quick else FULL
    with exit_on_signals():
        report = asyncio.run(bench(scale))
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say()
    say(f"everything agrees with the recount: {'yes' if report['consistent'] else 'NO'}")
    say(f"{report['seconds']} seconds; all figures are in {REPORT.relative_to(VAR.parent)}")
    raise SystemExit(0 if report["consistent"] else 1)


if __name__ == "__main__":
    main()
