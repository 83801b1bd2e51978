"""The examples of every event, written by hand under `schemas/examples/<name>/v<version>/`.

Together they tell one journey of one child: referred, assessed, placed, interviewed on leaving. `minimal`
holds the required fields alone, `full` every field. They are data only; the AsyncAPI document adds headers.
"""

import json
from pathlib import Path
from typing import Any, Literal

from schemas.events.base import Event

EXAMPLES = Path(__file__).parent / "examples"

Variant = Literal["minimal", "full"]
VARIANTS: tuple[Variant, ...] = ("minimal", "full")


def example_path(event_class: type[Event], variant: Variant) -> Path:
    """Return where the example belongs, whether or not it exists."""
    return EXAMPLES / event_class.name / f"v{event_class.version}" / f"{variant}.json"


def example(event_class: type[Event], variant: Variant) -> dict[str, Any]:
    """Return an example's data; FileNotFoundError if nobody has written it yet."""
    data: dict[str, Any] = json.loads(example_path(event_class, variant).read_text(encoding="utf-8"))
    return data
