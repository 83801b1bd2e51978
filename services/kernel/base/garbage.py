"""How often Python looks for cycles: with its defaults that is a quarter of a worker's time."""

import gc

YOUNGEST, MIDDLE, OLDEST = 20_000, 20, 100
"""Objects made before the youngest are looked at; rounds of each generation before the next older one.

A batch of 500 events makes some 20,000 objects and nearly no cycles: what it leaves goes by counting
references. With the defaults (700, 10, 10) it was walked through dozens of times while it grew.
"""


def look_less_often() -> None:
    """Leave all that is loaded out of every later search for cycles, and search less often.

    Call it once, when everything is imported and built. Without effect on what is freed by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, MIDDLE, OLDEST)
