"""The other answers of a page: as exceptions, and as the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any

HTML: Mapping[str, Any] = {"text/html": {"schema": {"type": "string"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    303: {"description": "To another page: the sign-in, or what the form has led to."},
    400: {"description": "A page: the form cannot be read.", "content": HTML},
    403: {"description": "A page: not for this person, or not from a form of ours.", "content": HTML},
    404: {"description": "A page: there is no such thing.", "content": HTML},
    409: {"description": "A page: not possible now.", "content": HTML},
    413: {"description": "A page: the form is too large.", "content": HTML},
    422: {"description": "A page that says what to enter instead.", "content": HTML},
    503: {"description": "A page: the store is away, try again in a moment.", "content": HTML},
}


class NotSignedIn(Exception):  # noqa: N818 - a state, not a mistake
    """The page needs somebody who has signed in."""


class Forbidden(Exception):  # noqa: N818 - an answer, not a mistake
    """The person who has signed in may not see or do this."""
