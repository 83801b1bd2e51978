"""One run: the feed, the faults and the county's time together; then rest, and the recount."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from random import Random

from services.kernel.base.clock import HeldClock
from tests.chaos import feed, storms
from tests.chaos.canary import AFTER, ANSWER_SECONDS, BEFORE, Canary
from tests.chaos.checks import CHECKS
from tests.chaos.choice import Choice
from tests.chaos.feed import start_of
from tests.chaos.feeder import Feeder, client
from tests.chaos.gathering import gather
from tests.chaos.ledger import Ledger
from tests.chaos.nemeses import NEMESES
from tests.chaos.report import Run
from tests.chaos.rest import at_rest, mailed
from tests.chaos.schedule import Fault, schedule
from tests.chaos.target import Target
from tests.chaos.witness import Witness, witnessing

SPAN = timedelta(days=2, hours=12)
"""How much of the county's time passes: what arrives on Monday falls due, and is late, within the run."""

CLOCK_SECONDS = 0.5
FEED_PATIENCE_SECONDS = 120.0
"""How long after its end everything that was sent must have been acknowledged."""

SHOWN_EVERY = 20
"""Faults of a storm after which its progress is shown."""

ACTS = {**NEMESES, "worker_killed": storms.worker_killed, "worker_stopped": storms.worker_stopped}

Say = Callable[[str], None]


async def play(choice: Choice, target: Target, clock: HeldClock, say: Say) -> Run:
    """Play a run on a system that has just started, stop its services, and recount."""
    run, ledger = Run(choice), Ledger()
    faults = schedule(choice.seed, nemeses=choice.nemeses, storm=choice.storm)
    acts = feed.plan(choice.seed, per_second=choice.per_second, seconds=choice.seconds)
    site, kafka = target.system.site, target.system.engines.kafka
    assert site is not None
    async with client(site, answer_seconds=ANSWER_SECONDS) as session, _watched(choice, kafka) as witness:
        canary = Canary(target, session, ledger, choice.seed)
        run.undisturbed = await canary.recovered(BEFORE)
        say(f"undisturbed, a referral is through all services after {run.undisturbed or 0.0:.2f} s")
        begun = time.monotonic()
        feeder = Feeder(acts, choice.seconds, ledger, target.partners, site=site, kafka=kafka)
        feeding = asyncio.create_task(feeder.run())
        ticking = asyncio.create_task(_tick(clock, target, choice))
        try:
            disturb = _storm if choice.storm is not None else _take_turns
            await disturb(run, target, canary, faults, begun, say)
            run.unfinished += await _fed(feeding, begun + choice.seconds + FEED_PATIENCE_SECONDS)
            run.events, run.feed_seconds = ledger.events, time.monotonic() - begun
            await ticking
        finally:
            feeding.cancel()
            ticking.cancel()
            await asyncio.gather(feeding, ticking, return_exceptions=True)
        run.after_all = await canary.recovered(AFTER)
        say("all is over: waiting until nothing is left to do")
        over = datetime.now(UTC)
        run.unfinished += await at_rest(target, now=clock.now(), mailing=True)
        run.mailed = await mailed(target)
        run.unfinished += await at_rest(target, now=clock.now())
    run.note(target)
    await asyncio.to_thread(target.stop_services)
    say("recounting")
    mail = target.home / "mail"
    evidence = await gather(
        target.dsn,
        kafka,
        mail=mail,
        witness=witness,
        now=clock.now(),
        over=over,
        mail_stopped=run.mailed.left > 0,
    )
    run.recounted = evidence.size
    run.findings = {name: check(ledger, evidence) for name, check in CHECKS.items()}
    return run


def _watched(choice: Choice, kafka: str) -> AbstractAsyncContextManager[Witness]:
    # In a storm nobody touches the broker, and what the witness costs would be taken from the workers.
    return witnessing(kafka, at_work=choice.storm is None)


async def _take_turns(
    run: Run, target: Target, canary: Canary, faults: Iterator[Fault], begun: float, say: Say
) -> None:
    """Bring about one fault after the other: the next comes when the last is overcome, or just before."""
    while time.monotonic() - begun < run.choice.seconds:
        fault = next(faults)
        await asyncio.sleep(fault.pause)
        struck = await _strike(run, target, fault)
        at = f"{time.monotonic() - begun:6.1f} s  {len(run.faults):>4}  {fault.nemesis:<20}"
        if not struck:
            say(f"{at} could not be brought about")
        elif fault.overlapped:
            say(f"{at} and, before that is overcome:")
        else:
            seconds = await canary.recovered(fault.number)
            run.recoveries.append((fault.nemesis, seconds))
            say(f"{at} " + ("not recovered" if seconds is None else f"recovered after {seconds:.2f} s"))


async def _storm(
    run: Run, target: Target, _canary: Canary, faults: Iterator[Fault], begun: float, say: Say
) -> None:
    """Bring about one fault after the other, each at its moment: nobody waits for anybody to recover."""
    at = begun
    while True:
        fault = next(faults)
        at += fault.pause
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        if time.monotonic() - begun > run.choice.seconds:
            return
        await _strike(run, target, fault)
        if len(run.faults) % SHOWN_EVERY == 0:
            middle = f"{target.mid_transaction} of them in a transaction"
            say(f"{time.monotonic() - begun:6.1f} s  {len(run.faults)} faults, {middle}")


async def _strike(run: Run, target: Target, fault: Fault) -> bool:
    """Return whether the fault could be brought about; blocks until its harm is done and healed."""
    try:
        await asyncio.to_thread(ACTS[fault.nemesis], target, Random(fault.seed))
    except Exception as error:  # noqa: BLE001 - the harm that cannot be done is reported, and the run goes on
        run.nemesis_failed.append(f"{fault.nemesis} ({fault.number}): {type(error).__name__}: {error}"[:200])
        return False
    run.faults.append(fault)
    return True


async def _tick(clock: HeldClock, target: Target, choice: Choice) -> None:
    """Let the county's time pass in steps; at the end it stands still, so that all can come to rest."""
    begun, start = time.monotonic(), start_of(choice.seed)
    while (passed := time.monotonic() - begun) < choice.seconds:
        clock.set(start + SPAN * (passed / choice.seconds) + target.clock_offset)
        await asyncio.sleep(CLOCK_SECONDS)
    clock.set(start + SPAN + target.clock_offset)


async def _fed(feeding: "asyncio.Task[None]", until: float) -> list[str]:
    """Wait for the feeder; return a sentence when the system would not take all that was sent."""
    done, _ = await asyncio.wait([feeding], timeout=max(0.0, until - time.monotonic()))
    if not done:
        return [f"not everything was acknowledged {FEED_PATIENCE_SECONDS:.0f} s after the end of the feed"]
    await feeding
    return []
