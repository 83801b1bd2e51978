"""How hard fuzzing tries, and the one text that must never come back."""

import os

from hypothesis import HealthCheck, settings

MARKER = "Jane Doe 7f3a"
"""Stands for personal data in what comes in: no words of ours may quote it."""


def effort(examples: int) -> settings:
    """Return how hard a test tries.

    By default the same `examples` every time, so that CI says the same twice. `LEADLINE_FUZZ=1000` tries that
    many, and others each time; a failure prints how to run it again.
    """
    wanted = os.environ.get("LEADLINE_FUZZ")
    return settings(
        max_examples=max(int(wanted), examples) if wanted else examples,
        derandomize=not wanted,
        deadline=None,
        print_blob=True,
        # A store and its service are made once for all examples; hostile values are large on purpose.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )
