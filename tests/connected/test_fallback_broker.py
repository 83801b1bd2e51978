"""The whole system on the broker that serves where there is no Java: a day of the county, complete."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from deploy.embedded.system import running_system
from services.cli.catalogue import SERVICES
from services.cli.demo import START, run_demo
from services.kernel.clock import HeldClock
from services.kernel.settings import Settings

pytestmark = pytest.mark.connected

ROOT = Path(__file__).parents[2]


def test_a_day_of_the_county_on_the_fallback_broker() -> None:
    """Nothing is lost, parked or without a lead, and the broker says that it is memory only."""
    var = ROOT / "var" / "test" / "fallback"
    clock = HeldClock(var / "clock")
    clock.set(START)
    with running_system(
        var,
        say=lambda _: None,
        environ={**os.environ, "LEADLINE_BROKER": "mesh"},
        services=SERVICES,
        fresh=True,
        free_ports=True,
        cache=ROOT / "var" / "engines",
        extra_env={"LEADLINE_CLOCK_FILE": str(clock.file), "LEADLINE_SCAN_SECONDS": "0.25"},
    ) as system:
        assert "memory only" in system.engines.kafka_name
        assert system.site is not None
        with Path(os.devnull).open("w") as nowhere:
            summary = run_demo(
                system.site,
                system.engines.kafka,
                clock.file,
                policy=ROOT / Settings().policy,
                console=Console(file=nowhere),
                days=1,
            )
    assert summary.ok
    assert summary.figures.as_data()["referrals"] > 0
