"""The route that GOV.UK Notify calls with receipts. The address that they name is not looked at."""

import hmac
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from starlette.exceptions import HTTPException

from services.kernel.messages import ids
from services.kernel.processing.commands import CommandExecutor
from services.kernel.web.api import problems
from services.notify.book import NotifyBook
from services.notify.delivery import receipts


class NotifyReceipt(BaseModel):
    """The parts of a receipt that are read: the sender's reference, and what became of the message."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        json_schema_extra={
            "examples": [{"reference": "2f8c1d7a-4b90-5e36-9a0f-3d6e8b5c1f74", "status": "delivered"}]
        },
    )

    reference: str | None = None
    status: str


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": NotifyReceipt.model_json_schema()}},
    }
}
"""What the OpenAPI document says of the body. FastAPI would say it for a parameter, and then read the body
before anybody's token."""

Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="GOV.UK Notify", description="The agreed token.")),
]


def add(routes: APIRouter, executor: CommandExecutor[NotifyBook], token: SecretStr | None) -> None:
    """Add the route, if there is a token: without one nobody could tell Notify from a stranger."""
    if token is None:
        return
    expected = token.get_secret_value().encode()

    def admit(bearer: Bearer) -> None:
        """Raise HTTPException for everybody but Notify."""
        if bearer is None or not hmac.compare_digest(bearer.credentials.encode(), expected):
            detail = "Send the bearer token that was agreed."
            raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})

    @routes.post(
        "/govuk-notify/receipts",
        dependencies=[Depends(admit)],
        openapi_extra=BODY,
        responses=problems(400, 401, 413),
        summary="Receipts of GOV.UK Notify",
        status_code=204,
    )
    async def receive(request: Request) -> Response:
        """A receipt that comes again, late, or about a message of somebody else changes nothing."""
        receipt = await _receipt_in(request)
        message_id = _ours(receipt.reference)
        if message_id is not None:
            async with executor.engine.begin() as connection:
                await receipts.record(connection, message_id, receipt.status, now=executor.clock.now())
        return Response(status_code=204)


async def _receipt_in(request: Request) -> NotifyReceipt:
    """Return the receipt that a request holds. Raises what the API's error handlers answer."""
    try:
        said = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is no JSON.") from None
    try:
        return NotifyReceipt.model_validate(said)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _ours(reference: str | None) -> UUID | None:
    """Return which message a reference names; None for those of other systems that share the account."""
    try:
        return ids.read(reference) if reference else None
    except ValueError:
        return None
