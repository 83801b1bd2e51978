"""Where a running worker spends its time, by function, as py-spy sees it from outside."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.embedded.processes import Spec
from tests.bench.say import say, table
from tests.bench.stage import ROOT, VAR, Stage

PROFILER = "py-spy"
SAMPLES_A_SECOND = 200
MOST_SECONDS = 3600
SHOWN = 30


@asynccontextmanager
async def profiled(stage: Stage, pid: int, name: str) -> AsyncIterator[None]:
    """Look into a process for as long as the context lasts, then print its functions.

    The stacks stay in `var/bench/profile/<name>.txt`, one per line with its count, as flame graphs are made
    from. The process is not stopped for a look, so a few samples are torn and dropped.
    """
    stacks = VAR / "bench" / "profile" / f"{name}.txt"
    stacks.parent.mkdir(parents=True, exist_ok=True)
    stacks.unlink(missing_ok=True)
    how = ("--format", "raw", "--function", "--nonblocking", "--rate", str(SAMPLES_A_SECOND))
    until = ("--duration", str(MOST_SECONDS), "--output", str(stacks))
    argv = (PROFILER, "record", "--pid", str(pid), *how, *until)
    log = stage.home / "log" / f"{PROFILER}.log"
    looking = stage.children.spawn(Spec(PROFILER, argv, log, None, ROOT, stop_signal=signal.SIGINT))
    try:
        yield
    finally:
        await asyncio.to_thread(stage.children.stop, looking)
    if not stacks.is_file():
        say(f"  {PROFILER} has written nothing: {looking.last_words()}")
        return
    show(name, stacks)


def by_function(lines: Iterable[str]) -> tuple[Counter[str], Counter[str], int]:
    """Return samples by function, its own and with all it called, and how many samples there are.

    A line is `outermost;...;innermost count`. A stack that was torn while it was read is empty.
    """
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    samples = 0
    for line in lines:
        stack, _, counted = line.rpartition(" ")
        if not stack:
            continue
        frames, count = stack.split(";"), int(counted)
        samples += count
        own[frames[-1]] += count
        whole.update(dict.fromkeys(frames, count))
    return own, whole, samples


def show(name: str, stacks: Path) -> None:
    """Print the functions that use most themselves, and those of ours under which most happens."""
    own, whole, samples = by_function(stacks.read_text(encoding="utf-8").splitlines())
    ours = Counter({function: count for function, count in whole.items() if "(services/" in function})
    for title, counts in (("own time", own), ("our functions, with all that they call", ours)):
        table(
            f"{name}: {title}, of {samples:,} samples",
            ["function", "share"],
            [[function, f"{count / samples:.1%}"] for function, count in counts.most_common(SHOWN)],
        )
    say(f"  all stacks: {stacks.relative_to(ROOT)}")
