"""The common parts of every HTTP API: errors that say what to do, idempotency keys, pages of lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.utils import generate_unique_id
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.kernel.base.complaints import complaint
from services.kernel.base.examples import example
from services.kernel.messages.faults import Refused, place
from services.kernel.store.cursors import LONGEST, Cursors, Key, ListPart, WrongCursor
from services.kernel.web.answers import ItemT, Listed, examples

PROBLEM = "application/problem+json"

NO_OFFSET = (
    "Lists are read by cursor: send cursor=NEXT_CURSOR with the next_cursor of the last answer, no offset."
)


class Mistake(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem; `detail` says what to do."""

    model_config = example(
        {
            "type": "about:blank",
            "title": "The request has mistakes",
            "status": 422,
            "detail": "Correct the fields named below.",
            "mistakes": [{"field": "concerns", "message": "name at least one"}],
        }
    )

    type: str
    title: str
    status: int
    detail: str
    mistakes: tuple[Mistake, ...] = ()
    """Only where the request has any."""


MEANINGS: Mapping[int, str] = {
    400: "The body cannot be read.",
    401: "Say who you are; the detail says how.",
    403: "Not for you.",
    404: "There is no such thing.",
    409: "Not possible now; the detail says what to do instead.",
    410: "No longer there; the detail says how to go on.",
    413: "The body is too large.",
    422: "The request has mistakes; `mistakes` names the fields.",
    503: "A store does not answer: send the request again in a moment.",
}

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        description="Any text that is new for each request; sending it again returns the first answer.",
    ),
]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list was asked for."""

    limit: int
    cursor: str | None

    def after(self, cursors: Cursors) -> Key | None:
        """Return the key at which the page before ended; None at the beginning.

        Raises RequestValidationError for a cursor that is none of this list's.
        """
        return None if self.cursor is None else read_cursor("cursor", self.cursor, cursors)

    def of(self, part: ListPart[ItemT], cursors: Cursors) -> Listed[ItemT]:
        """Return one page of a list as an answer, with the cursor of the next page or None."""
        following = part.following
        return Listed(
            items=tuple(part.items),
            total=part.total,
            next_cursor=None if following is None else cursors.write(following),
        )


def read_cursor(name: str, text: str, cursors: Cursors) -> Key:
    """Return the key of a cursor in the query. Raises RequestValidationError that names the parameter."""
    try:
        return cursors.read(text)
    except WrongCursor as error:
        raise mistake(name, str(error)) from None


def mistake(name: str, sentence: str) -> RequestValidationError:
    """Return what says that a parameter of the query is wrong."""
    return RequestValidationError([{"type": "value_error", "loc": ("query", name), "msg": sentence}])


def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at the most.")] = 50,
    cursor: Annotated[
        str | None,
        Query(max_length=LONGEST, description="The `next_cursor` of the last answer; none: from the start."),
    ] = None,
) -> Page:
    if "offset" in request.query_params:
        raise mistake("offset", NO_OFFSET)
    return Page(limit, cursor)


Paging = Annotated[Page, Depends(_page)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document describes these answers; see MEANINGS."""
    return {
        status: {
            "description": MEANINGS[status],
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


ALWAYS = problems(422, 503)
"""What every route may answer."""
TO_COMMANDS = problems(400, 404, 409, 413)
"""What a route that changes something may answer as well."""


def describe(app: FastAPI) -> None:
    """Let the OpenAPI document name its parts, so that generated clients have names that people can read."""
    document = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = document().setdefault("components", {}).setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**problem.pop("$defs"), "Problem": problem}
            # FastAPI leaves out every null, in examples too, where it is a value that programs will meet.
            known = examples()
            for schema in schemas.values():
                schema.update(known.get(schema.get("title", ""), {}))
        return document()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change it


def operation_id(route: APIRoute) -> str:
    """Return how generated clients call an operation: the service and what is done, `referral_refer`.

    Pages are no part of clients; their ids follow from their addresses.
    """
    tags = [str(tag) for tag in route.tags]
    return generate_unique_id(route) if "pages" in tags else f"{tags[0]}_{route.name}"


def install_errors(app: FastAPI) -> None:
    """Answer refusals, invalid input and what is not served as RFC 9457 problems that say what to do."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(not_served)


async def _refused(_request: Request, error: Refused) -> JSONResponse:
    status = 404 if error.missing else 409
    title = "Not found" if error.missing else "Not possible now"
    return problem(status, title, error.sentence)


async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    # Places and sentences, never the values that came in: they may be personal.
    mistakes = [
        {
            "field": place(step for step in mistake["loc"] if step != "body"),
            "message": complaint(mistake).removeprefix("is wrong: "),
        }
        for mistake in error.errors()
    ]
    return problem(422, "The request has mistakes", "Correct the fields named below.", mistakes=mistakes)


async def not_served(_request: Request, error: HTTPException) -> JSONResponse:
    """Answer what the framework itself refuses: an unknown path or method, a body that cannot be read."""
    answer = problem(error.status_code, HTTPStatus(error.status_code).phrase, error.detail)
    answer.headers.update(error.headers or {})
    return answer


def problem(status: int, title: str, detail: str, **more: object) -> JSONResponse:
    """Return an RFC 9457 problem."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, media_type=PROBLEM)
