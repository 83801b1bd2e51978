"""What a run over many seeds found: the lines it prints, and the report as JSON."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORT = Path(__file__).parents[2] / "var" / "simulation" / "latest.json"


@dataclass
class Tally:
    """What has been played so far."""

    seeds: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Findings by seed, or by case."""

    def as_data(self, seconds: float, **more: object) -> dict[str, Any]:
        """Return the report."""
        return {
            "passed": not self.failed,
            "played": self.seeds,
            "seconds": round(seconds, 1),
            "steps": self.steps,
            "virtual_seconds": round(self.virtual_seconds),
            "faults": self.faults.total(),
            "faults_by_kind": dict(sorted(self.faults.items())),
            "failed": self.failed,
            **more,
        }


def write(report: dict[str, Any]) -> None:
    """Keep the report."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
