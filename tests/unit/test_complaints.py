"""What is wrong with a value is said to people in the project's words, never in the library's."""

from datetime import datetime
from string import Formatter
from typing import Annotated, Any, get_args

import pytest
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, core_schema

from schemas.events import Code
from services.cli.catalogue import ServiceName
from services.kernel.base.complaints import LIBRARYS, WORDS, complaint

KINDS = get_args(core_schema.ErrorType)


def _even(number: int) -> int:
    if number % 2:
        message = "The number of halves is even"
        raise ValueError(message)
    return number


class Inner(BaseModel):
    """A model for the table below."""

    size: int


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (int, "many", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (float, "much", "must be a number"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[float, Field(le=3600.0)], 4000, "must be at most 3600"),
        (Annotated[float, Field(gt=0)], 0, "must be more than 0"),
        (bool, "perhaps", "must be true or false"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[str, Field(max_length=2)], "abc", "must have at most 2 characters"),
        (Code, "St Mary's School", "must be a code without spaces, for example school-0001"),
        (ServiceName, "billing", "must be 'referral', 'assessment', 'placement' or 'notify'"),
        (AwareDatetime, datetime(2026, 9, 7), "must be a moment with its distance from UTC"),  # noqa: DTZ001
        (list[int], 3, "must be a list"),
        (dict[str, int], [], "must be a mapping"),
        (Inner, 3, "must be a mapping of fields"),
        (Inner, {}, "is missing"),
        (Annotated[int, AfterValidator(_even)], 3, "is wrong: the number of halves is even"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(annotation: Any, value: object, words: str) -> None:
    """To be read after the name of the field."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    assert complaint(caught.value.errors()[0]).startswith(words)


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_error_shows_the_librarys_own_sentence(kind: str) -> None:
    """Also one that a later version of the library brings."""
    told = complaint(ErrorDetails(type=kind, loc=("x",), msg="Input should be otherwise", input=1))
    assert ("input" in told.lower()) is (kind not in LIBRARYS)
    assert told.strip() == told != ""


def test_words_are_for_kinds_that_there_are_and_open_nothing_unknown() -> None:
    """A kind that is written wrongly here would silently be told as `is not valid`."""
    assert set(WORDS) <= set(KINDS)
    for words in WORDS.values():
        assert all(name is None or name.isidentifier() for _, name, _, _ in Formatter().parse(words))
