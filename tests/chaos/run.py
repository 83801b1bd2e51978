"""One run: the feed, the faults and the county's time together; then rest, and the recount."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from random import Random

from services.kernel.clock import HeldClock
from tests.chaos import feed
from tests.chaos.canary import Canary
from tests.chaos.checks import CHECKS
from tests.chaos.choice import Choice
from tests.chaos.feed import START
from tests.chaos.feeder import Feeder, client
from tests.chaos.gathering import gather
from tests.chaos.ledger import Ledger
from tests.chaos.nemeses import NEMESES, ROTATION
from tests.chaos.report import Run
from tests.chaos.rest import at_rest
from tests.chaos.schedule import Fault, schedule
from tests.chaos.target import Target

SPAN = timedelta(days=2, hours=12)
"""How much of the county's time passes: what arrives on Monday falls due, and is late, within the run."""

CLOCK_SECONDS = 0.5
FEED_PATIENCE_SECONDS = 120.0
"""How long after its end everything that was sent must have been acknowledged."""

Say = Callable[[str], None]


async def play(choice: Choice, target: Target, clock: HeldClock, say: Say) -> Run:
    """Play a run on a system that has just started, stop its services, and recount."""
    run, ledger = Run(choice), Ledger()
    faults = schedule(choice.seed, seconds=choice.seconds, nemeses=tuple(ROTATION), storm=choice.storm)
    acts = feed.plan(choice.seed, per_second=choice.per_second, seconds=choice.seconds)
    site = target.system.site
    assert site is not None
    async with client(site) as session:
        canary = Canary(target, session, ledger, choice.seed)
        first = await canary.recovered(-1)
        say(f"undisturbed, a referral's alert takes {first or 0.0:.2f} s")
        begun = time.monotonic()
        feeder = Feeder(acts, choice.seconds, ledger, site=site, kafka=target.system.engines.kafka)
        feeding = asyncio.create_task(feeder.run())
        ticking = asyncio.create_task(_tick(clock, choice.seconds))
        try:
            await _disturb(run, target, canary, faults, begun, say)
            run.unfinished += await _fed(feeding, begun + choice.seconds + FEED_PATIENCE_SECONDS)
            run.events, run.feed_seconds = ledger.events, time.monotonic() - begun
            await ticking
        finally:
            feeding.cancel()
            ticking.cancel()
            await asyncio.gather(feeding, ticking, return_exceptions=True)
        run.recoveries.append(("all over", await canary.recovered(-2)))
    say("all is over: waiting until nothing is left to do")
    run.unfinished += await at_rest(target, now=clock.now())
    run.exits = target.exits
    await asyncio.to_thread(target.stop_services)
    say("recounting")
    evidence = await gather(target.dsn, target.system.engines.kafka, now=clock.now())
    run.recounted = evidence.size
    run.findings = {name: check(ledger, evidence) for name, check in CHECKS.items()}
    return run


async def _disturb(
    run: Run, target: Target, canary: Canary, faults: list[Fault], begun: float, say: Say
) -> None:
    """Bring about the faults, each at its moment or, outside storms, when the last one is overcome."""
    for fault in faults:
        await asyncio.sleep(max(0.0, begun + fault.at - time.monotonic()))
        if time.monotonic() - begun > run.choice.seconds:
            return
        try:
            await asyncio.to_thread(NEMESES[fault.nemesis], target, Random(fault.seed))
        except Exception as error:  # noqa: BLE001 - the harm that cannot be done is reported, and the run goes on
            run.nemesis_failed.append(f"{fault.nemesis} ({fault.number}): {type(error).__name__}")
            continue
        run.faults.append(fault)
        if run.choice.storm is not None:
            if len(run.faults) % 20 == 0:
                say(f"{time.monotonic() - begun:6.1f} s  {len(run.faults)} faults")
            continue
        seconds = await canary.recovered(fault.number)
        run.recoveries.append((fault.nemesis, seconds))
        words = "not recovered" if seconds is None else f"recovered after {seconds:.2f} s"
        say(f"{time.monotonic() - begun:6.1f} s  {fault.nemesis:<20} {words}")


async def _tick(clock: HeldClock, seconds: float) -> None:
    """Let the county's time pass in steps; at the end it stands still, so that all can come to rest."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        clock.set(START + SPAN * (passed / seconds))
        await asyncio.sleep(CLOCK_SECONDS)
    clock.set(START + SPAN)


async def _fed(feeding: "asyncio.Task[None]", until: float) -> list[str]:
    """Wait for the feeder; return a sentence when the system would not take all that was sent."""
    done, _ = await asyncio.wait([feeding], timeout=max(0.0, until - time.monotonic()))
    if not done:
        return [f"not everything was acknowledged {FEED_PATIENCE_SECONDS:.0f} s after the end of the feed"]
    await feeding
    return []
