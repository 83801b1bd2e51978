"""What the contract tests share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped] # has no types

Complaints = Callable[[dict[str, Any], Any], list[str]]

FORMATS = FormatChecker(formats=["uuid", "date"])


@FORMATS.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator] # jsonschema has no types
def is_rfc3339(value: object) -> bool:
    """An instant needs its offset; jsonschema by itself lets any text pass as a `date-time`."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@pytest.fixture(scope="session")
def complaints() -> Complaints:
    """Return what a JSON Schema has against a value: one sentence each, formats included."""

    def check(schema: dict[str, Any], value: Any) -> list[str]:
        Draft202012Validator.check_schema(schema)
        errors = Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in errors]

    return check
