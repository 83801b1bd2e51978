"""The product broken on purpose: a recount that does not find these would not find the mistake itself.

A run with `--mutation NAME` puts one of them inside every service process (inside.py); nothing of it exists
outside of tests. `python -m tests.chaos.mutations` plays a run with each and tells what was found.
"""

from collections.abc import Mapping

from tests.chaos.schedule import Storm

MUTATIONS: Mapping[str, str] = {
    "claim_disabled": "mutations.claim_disabled:apply",
    "offsets_before_commit": "mutations.offsets_before_commit:apply",
    "published_before_commit": "mutations.published_before_commit:apply",
}
"""By name, what inside.py is to call."""

DISTURBANCE: Storm = "kill"
"""What shows all of them: as long as no process dies between two steps, their order does not matter."""
