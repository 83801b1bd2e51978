"""The whole system on the broker that serves where Kafka cannot be had, and the README's excerpt."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from deploy.embedded.system import running_system
from services.cli.catalogue import SERVICES
from services.cli.demo import START, run_demo
from services.county.pace import held_time
from services.kernel.base.clock import HeldClock
from services.kernel.base.settings import Settings

pytestmark = pytest.mark.connected

ROOT = Path(__file__).parents[2]


def shown_in_readme() -> list[str]:
    """Return the lines of the README's excerpt that hold figures of the county."""
    readme = (ROOT / "README.md").read_text()
    excerpt = readme.split("this is its output, shortened:")[1].split("```")[1]
    return [
        line
        for line in excerpt.splitlines()
        if line[:1] in set("│┃") or " 2026 " in line or "open cases" in line
    ]


def test_five_days_on_the_fallback_broker_go_as_the_readme_says() -> None:
    """Nothing lost, parked or without a lead; the figures hang on the seed, not on the broker."""
    output = io.StringIO()
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
        extra_env=held_time(clock),
    ) as system:
        assert "memory only" in system.engines.kafka_name
        assert system.site is not None
        summary = run_demo(
            system.site,
            system.engines.kafka,
            clock.file,
            policy=ROOT / Settings().policy,
            console=Console(file=output, width=120),
            days=5,
        )
    assert summary.ok
    lines = {line.rstrip() for line in output.getvalue().splitlines()}
    excerpt = shown_in_readme()
    assert len(excerpt) > 8
    assert [line for line in excerpt if line not in lines] == []
