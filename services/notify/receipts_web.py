"""The route that GOV.UK Notify calls with receipts. The address that they name is not looked at."""

import hmac
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, SecretStr

from services.kernel.desk import Desk
from services.kernel.web import problem, problems
from services.notify import receipts
from services.notify.book import NotifyBook


class Receipt(BaseModel):
    """What of a receipt is read: our reference, and what became of the message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reference: UUID | None = None
    status: str


def add(routes: APIRouter, desk: Desk[NotifyBook], token: SecretStr | None) -> None:
    """Add the route, if there is a token: without one nobody could tell Notify from a stranger."""
    if token is None:
        return
    expected = f"Bearer {token.get_secret_value()}".encode()

    @routes.post(
        "/govuk-notify/receipts",
        responses=problems(400, 401),
        summary="Receipts of GOV.UK Notify",
        status_code=204,
    )
    async def receive(receipt: Receipt, authorization: Annotated[str, Header()] = "") -> Response:
        """A receipt that comes again, late, or about a message of somebody else changes nothing."""
        if not hmac.compare_digest(authorization.encode(), expected):
            return problem(401, "Not let in", "Send the bearer token that was agreed.")
        if receipt.reference is not None:
            async with desk.engine.begin() as connection:
                await receipts.record(connection, receipt.reference, receipt.status, now=desk.clock.now())
        return Response(status_code=204)
