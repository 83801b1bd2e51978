"""The command line: which parts and which variants run."""

import argparse
import shutil
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

from tests.bench.choice import Choice
from tests.bench.parts import PARTS
from tests.bench.profiling import PROFILER
from tests.bench.scale import FULL, QUICK
from tests.bench.variants import VARIANTS

EXAMPLES = """\
examples:
  everything, small, within five minutes:
    python -m tests.bench --quick
  two parts; the report is var/bench/partial.json:
    python -m tests.bench --quick --only pipeline,limit
  a change beside the fastest peer, in a minute:
    python -m tests.bench --quick --only pipeline --variants leadline,aiokafka_batch
  where the worker's time goes, by function:
    python -m tests.bench --quick --only pipeline --variants leadline --profile
  keep the ratios of that last run in the repository, for later runs to be compared with:
    python -m tests.bench --land

parts:
"""


def choose(arguments: Sequence[str] | None = None) -> Choice:
    """Return what a command line asks for; end the process with exit code 2 and a sentence if it is wrong."""
    width = max(map(len, PARTS)) + 2
    parts = "\n".join(f"  {name:<{width}}{part.__doc__}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure speed on real engines beside other libraries, and recount what was made.",
        epilog=EXAMPLES + parts,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: ends within five minutes")
    parser.add_argument(
        "--only",
        type=_some_of(PARTS, "part"),
        default=tuple(PARTS),
        metavar="PART,...",
        help="run these parts alone",
    )
    parser.add_argument(
        "--variants",
        type=_some_of(VARIANTS, "variant"),
        default=tuple(VARIANTS),
        metavar="NAME,...",
        help=f"let only these run in the pipeline: {', '.join(VARIANTS)}",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help=f"look into a worker of each variant in the pipeline with {PROFILER}, which slows it",
    )
    parser.add_argument(
        "--land",
        action="store_true",
        help="measure nothing: keep the last quick run's ratios, for later runs to be compared with",
    )
    given = parser.parse_args(arguments)
    if given.profile and shutil.which(PROFILER) is None:
        parser.error(
            f"--profile needs {PROFILER} on the PATH: `pip install {PROFILER}` in an environment of its own"
        )
    return Choice(
        scale=QUICK if given.quick else FULL,
        parts=given.only,
        variants=given.variants,
        profile=given.profile,
        land=given.land,
        whole=given.only == tuple(PARTS) and given.variants == tuple(VARIANTS) and not given.profile,
    )


def _some_of(known: Iterable[str], what: str) -> Callable[[str], tuple[str, ...]]:
    names = tuple(known)

    def chosen(text: str) -> tuple[str, ...]:
        asked = [name.strip() for name in text.split(",") if name.strip()]
        for name in asked:
            if name not in names:
                near = get_close_matches(name, names, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
                message = f"there is no {what} {name!r}: {hint}"
                raise argparse.ArgumentTypeError(message)
        if not asked:
            message = f"name at least one {what}"
            raise argparse.ArgumentTypeError(message)
        return tuple(name for name in names if name in asked)

    return chosen
