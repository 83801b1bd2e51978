"""`python -m tests.chaos.inside worker referral`: the `leadline` command, with what a run puts inside it.

Every service process of a run starts here. The environment variable LEADLINE_CHAOS_INSIDE names functions as
`module:function` below `tests.chaos`, separated by commas: `points:install,mutations.offsets_early:apply`.
Each is called once, without arguments and in that order, before the command begins, and replaces what it
wants of the product's modules in this process: a name that is imported from its module (`from a import b`)
in the importing one. What else it must know it takes from the environment. Without the variable this is the
ordinary command.

A name that is not there ends the process: a run that was not disturbed as it was told would prove nothing.
"""

import os
import sys
from collections.abc import Callable
from importlib import import_module

VARIABLE = "LEADLINE_CHAOS_INSIDE"

COMMAND = (sys.executable, "-m", "tests.chaos.inside")
"""What stands in place of `leadline` in a run; the checkout must be the working directory."""

ALWAYS: tuple[str, ...] = ("points:install", "joined:install")
"""What every run puts inside its processes, whatever was chosen."""


def named(names: str) -> list[Callable[[], None]]:
    """Return the functions that the variable's value names. ImportError or AttributeError: one is missing."""
    found = []
    for name in filter(None, names.split(",")):
        module, _, function = name.partition(":")
        found.append(getattr(import_module(f"tests.chaos.{module}"), function))
    return found


if __name__ == "__main__":
    from services.cli.main import main

    for install in named(os.environ.get(VARIABLE, "")):
        install()
    main()
