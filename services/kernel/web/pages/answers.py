"""The other answers of a page: as exceptions, and as the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any

HTML: Mapping[str, Any] = {"text/html": {"schema": {"type": "string"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    303: {"description": "To another page: the sign-in, or the result of the form."},
    400: {"description": "A page: the form cannot be read.", "content": HTML},
    403: {"description": "A page: not for this person, or not from a form of ours.", "content": HTML},
    404: {"description": "A page: there is no such thing.", "content": HTML},
    409: {"description": "A page: not possible now.", "content": HTML},
    413: {"description": "A page: the form is too large.", "content": HTML},
    422: {"description": "A page that says what to enter instead.", "content": HTML},
    503: {"description": "A page: the store is unavailable, try again in a moment.", "content": HTML},
}


class NotSignedIn(Exception):  # noqa: N818 - a state, not a fault
    """The page requires a signed-in person."""


class Forbidden(Exception):  # noqa: N818 - an answer, not a fault
    """The signed-in person may not see or do this."""
