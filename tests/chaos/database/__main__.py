"""`python -m tests.chaos.database`: the troubles of a database, one after the other; --help says more."""

import argparse
import asyncio
import os
from collections.abc import Sequence

from deploy.embedded.supervisor import exit_on_signals
from schemas.topics import REFERRAL
from services.assessment.pack import AssessmentPack
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from tests.bench import machine
from tests.bench.backlog import backlog
from tests.bench.run import Work, measure
from tests.bench.say import say
from tests.bench.stage import VAR, BenchFailed, Stage, staged
from tests.bench.variants import LEADLINE
from tests.chaos.alone import conclude, prepare
from tests.chaos.database.play import PARTITIONS, WORKED_SECONDS, Played, play
from tests.chaos.database.report import as_data, in_words, show
from tests.chaos.database.scenarios import SCENARIOS
from tests.chaos.full_disk import NoSmallDiskError

REPORT = VAR / "chaos" / "database.json"
WARM_UP_EVENTS = 10_000
MARGIN = 1.5
"""A shared machine may be faster than when it was measured."""

FEWEST_EVENTS, MOST_EVENTS = 10_000, 500_000


def choose(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line asks for; end the process with exit code 2 and a sentence if it is wrong."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.database",
        description="Give a working service's database a trouble; see how soon throughput is back, recount.",
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="play these alone")
    parser.add_argument("--events", type=int, help="how large a backlog (default: from the speed measured)")
    return parser.parse_args(arguments)


async def play_all(chosen: argparse.Namespace) -> dict[str, object]:
    """Play the scenarios on one broker and one server, each on an empty store; return the report."""
    pack = load_pack(Settings().policy, AssessmentPack)
    played: list[Played] = []
    failed: dict[str, str] = {}
    async with staged() as stage:
        facts = machine.facts(stage.engines)
        work = await _backlog(stage, pack, chosen.events)
        for scenario in SCENARIOS:
            if scenario.name not in chosen.only:
                continue
            try:
                played.append(await play(stage, scenario, work, pack))
            except (BenchFailed, NoSmallDiskError) as error:
                failed[scenario.name] = str(error)
                say(f"  {scenario.name}: {error}")
            else:
                say(f"  {in_words(played[-1])}")
    show(played, failed)
    return {"machine": facts, "events": len(work.referrals), **as_data(played, failed)}


async def _backlog(stage: Stage, pack: AssessmentPack, events: int | None) -> Work:
    """Write a backlog that lasts long enough on this machine; a first small one shows its speed."""
    localities = [locality.code for locality in pack.localities]
    warm_up = Work(list(backlog(WARM_UP_EVENTS, localities)))
    measured = await measure(stage, LEADLINE, warm_up, pack, workers=1, partitions=PARTITIONS)
    if measured.faults:
        raise BenchFailed(f"without any trouble: {measured.faults[0]}")
    wanted = int(measured.events_s * WORKED_SECONDS * MARGIN)
    count = events or min(max(wanted, FEWEST_EVENTS), MOST_EVENTS)
    say(f"  {measured.events_s:,.0f} events/s without trouble; a backlog of {count:,} events")
    work = Work(list(backlog(count, localities)))
    await stage.topics(PARTITIONS)
    await stage.fill(REFERRAL.name, work.messages)
    return work


def main() -> None:
    """Run; the exit code is 1 when a bar was missed or something could not be played."""
    chosen = choose()
    prepare()
    os.environ["LEADLINE_BROKER"] = "kafka"
    with exit_on_signals():
        report = asyncio.run(play_all(chosen))
    conclude(report, REPORT)


if __name__ == "__main__":
    main()
