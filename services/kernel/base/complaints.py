"""Says what is wrong with a value, in words for the person who can correct it.

The validation library's own messages address programmers ("Input should be a valid integer, unable to parse
string as an integer"); policy packs, settings, commands and HTTP answers use these words instead.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic_core import ErrorDetails, core_schema

from schemas.events import Code

LIBRARYS = frozenset(get_args(core_schema.ErrorType)) - {"value_error", "assertion_error"}
"""The kinds of error with the library's own message; all others carry a message of this project."""
PREFIXES = ("Value error, ", "Assertion failed, ")

DATE = "must be a date, for example 2026-09-07"
TIME = "must be a time of day, for example 09:00"
MOMENT = "must be a moment with its distance from UTC, for example 2026-09-07T09:00:00+01:00"

WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "none_required": "must be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "iterable_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
    "dataclass_type": "must be a mapping of fields",
    "union_tag_invalid": "must name one of {expected_tags} as its {discriminator}",
    "union_tag_not_found": "must name its {discriminator}",
    "json_invalid": "must be valid JSON",
    "json_type": "must be valid JSON",
    "date_type": DATE,
    "date_parsing": DATE,
    "date_from_datetime_parsing": DATE,
    "date_from_datetime_inexact": DATE,
    "time_type": TIME,
    "time_parsing": TIME,
    "datetime_type": MOMENT,
    "datetime_parsing": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    "datetime_object_invalid": MOMENT,
    "timezone_aware": MOMENT,
    "timezone_offset": MOMENT,
    "time_delta_type": "must be a duration, for example PT1H",
    "time_delta_parsing": "must be a duration, for example PT1H",
    "url_type": "must be an address, for example https://leadline.example",
    "url_parsing": "must be an address, for example https://leadline.example",
    "url_syntax_violation": "must be an address, for example https://leadline.example",
    "url_scheme": "must be an address that begins with {expected_schemes}",
    "uuid_type": "must be an id, for example 0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11",
    "uuid_parsing": "must be an id, for example 0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11",
    "uuid_version": "must be an id of version {expected_version}",
}
"""By the library's kind of error; braces hold values from its context."""
ELSE = "is not valid"

_CODE = get_args(Code)[1]
PATTERNS: Mapping[str, str] = {str(_CODE.pattern): "must be a code without spaces, for example school-0001"}
"""Patterns with their own words."""


def complaint(details: ErrorDetails) -> str:
    """Return what is wrong, to follow the field's name: `must be at least 1`.

    Quotes no value, unless a validator of this project has put one into its own message.
    """
    kind, context = details["type"], details.get("ctx", {})
    if kind not in LIBRARYS:
        return f"is wrong: {own_words(details)}"
    if kind == "string_pattern_mismatch" and context.get("pattern") in PATTERNS:
        return PATTERNS[context["pattern"]]
    if kind in {"string_too_short", "too_short"} and context.get("min_length") == 1:
        return "must not be empty"
    return WORDS.get(kind, ELSE).format_map(_Known(context))


def own_words(details: ErrorDetails) -> str:
    """Return the message of a validator of this project."""
    words = details["msg"]
    for prefix in PREFIXES:
        words = words.removeprefix(prefix)
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]


class _Known(dict[str, Any]):
    """An error's context; missing keys read as three dots, because a sentence is better than a KeyError."""

    def __getitem__(self, key: str) -> Any:
        """Return a limit as people write it: 3600 and not 3600.0."""
        value = super().__getitem__(key)
        return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else value

    def __missing__(self, key: str) -> str:
        return "..."
