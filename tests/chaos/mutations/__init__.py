"""The product broken on purpose: a recount that does not find these would not find the mistake itself.

A run with `--mutation NAME` puts one of them inside every service process (inside.py); nothing of it exists
outside of tests. `python -m tests.chaos.mutations` plays a run with each and tells what was found.
"""

from collections.abc import Mapping

MUTATIONS: Mapping[str, str] = {}
"""By name, what inside.py is to call."""
