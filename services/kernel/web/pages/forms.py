"""Forms: checked against the browser that they were given to, and read field by field."""

from fastapi import Request
from starlette.datastructures import FormData

from services.kernel.web.pages.answers import Forbidden
from services.kernel.web.pages.session import Session

FIELDS = 2_000
"""The most fields: the longest form, a table of choices, has a few hundred."""


async def checked_form(request: Request, session: Session) -> FormData:
    """Return the submitted form. Raises Forbidden when it was not issued to this browser."""
    form = await request.form(max_fields=FIELDS, max_files=0)
    token = form.get("token")
    if not isinstance(token, str) or not session.matches(token):
        raise Forbidden
    return form


def field_of(form: FormData, name: str) -> str:
    """Return a field of a form; empty if it was not sent."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def form_key(form: FormData) -> str:
    """Return the key that a form was issued with. Raises Forbidden when it has none."""
    key = field_of(form, "form_key")
    if not 8 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise Forbidden
    return key
