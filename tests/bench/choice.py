"""What one run of the benchmark measures."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.scale import Scale
from tests.bench.stage import VAR


@dataclass(frozen=True)
class Choice:
    """What was asked for. `parts` and `variants` are in the benchmark's own order."""

    scale: Scale
    parts: tuple[str, ...]
    variants: tuple[str, ...]
    profile: bool
    """Whether workers are looked into during the pipeline."""
    whole: bool
    """Whether nothing is left out and nobody looks into it: only then the figures stand for the revision."""

    land: bool = False
    """Whether nothing is measured and the last whole run's ratios are kept in the repository."""

    @property
    def report(self) -> Path:
        """Return the file for the report. A partial run never overwrites the whole one's."""
        return VAR / "bench" / ("latest.json" if self.whole else "partial.json")
