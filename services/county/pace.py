"""How often processes look around while the county holds their clock."""

from collections.abc import Mapping

from services.kernel.base.clock import HeldClock


def held_time(clock: HeldClock) -> Mapping[str, str]:
    """Return the environment of processes whose time the county holds in the clock's file.

    Simulated time waits until all is done, so every pause of theirs is one of the play.
    """
    return {
        "LEADLINE_CLOCK_FILE": str(clock.file),
        "LEADLINE_SCAN_SECONDS": "0.25",
        "LEADLINE_SEND_SECONDS": "0.02",
        "LEADLINE_CLAIM_SECONDS": "10",
        "LEADLINE_COMMIT_SECONDS": "0.02",
    }
