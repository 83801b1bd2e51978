"""The referral service's HTTP API."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from schemas.events import Code
from services.kernel.base.examples import example
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Command
from services.kernel.store import deadlines
from services.kernel.web.answers import Listed, kept
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute
from services.referral import store
from services.referral.book import ReferralBook
from services.referral.model import CloseReason, DecideReferral, Outcome, ReceiveReferral
from services.referral.shown import (
    ShownReferral,
    ShownReferralFigure,
    ShownReferralWithDeadlines,
    shown,
    shown_after,
    shown_with_deadlines,
)
from services.referral.store import ReferralFilter, ReferralStore, Sort


class Decision(Command):
    """What a duty worker decides; without an outcome the policy's advice is taken."""

    model_config = example({"decided_by": "sw-014", "outcome": "accept"})

    decided_by: Code
    outcome: Outcome | None = None
    override_reason: Code | None = None
    close_reason: CloseReason | None = None


def router(executor: CommandExecutor[ReferralBook, ReferralStore]) -> APIRouter:
    """Return the routes of the referral service."""
    routes = APIRouter(route_class=BodyRoute, tags=["referral"], responses=ALWAYS)
    pack = executor.service.store.pack

    @routes.post(
        "/referrals",
        status_code=201,
        response_model=ShownReferral,
        responses=TO_COMMANDS,
        summary="Refer a child",
    )
    async def refer(command: ReceiveReferral, key: IdempotencyKey) -> Response:
        return kept(await executor.execute(command, key=key, respond=shown_after(pack)), status=201)

    @routes.post(
        "/referrals/{referral_id}/decision",
        response_model=ShownReferral,
        responses=TO_COMMANDS,
        summary="Accept, redirect or close a referral",
    )
    async def decide(referral_id: UUID, decision: Decision, key: IdempotencyKey) -> Response:
        try:
            command = DecideReferral(referral_id=referral_id, **decision.model_dump())
        except ValidationError as error:  # what the fields of the decision get wrong together
            raise RequestValidationError(error.errors()) from None
        return kept(await executor.execute(command, key=key, respond=shown_after(pack)))

    @routes.get("/referrals", summary="List referrals")
    async def listing(
        page: Paging,
        status: Literal["received", "accepted", "redirected", "closed"] | None = None,
        agency_id: Code | None = None,
        locality: Code | None = None,
        child_id: UUID | None = None,
        sort: Annotated[Sort, Query(description="By the time of receipt.")] = "newest",
    ) -> Listed[ShownReferral]:
        chosen = ReferralFilter(status, agency_id, locality, child_id)
        cursors = store.LIST[sort].cursors(chosen.parameters())
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await store.list_referrals(connection, chosen, sort=sort, limit=page.limit, after=after)
        return page.of(found.map(lambda referral: shown(referral, pack)), cursors)

    @routes.get("/referrals/figures", summary="Referrals by kind of agency and status")
    async def figures() -> list[ShownReferralFigure]:
        async with executor.engine.connect() as connection:
            rows = await store.figures(connection)
        return [
            ShownReferralFigure.model_validate({"agency": agency, "status": status, "count": count})
            for agency, status, count in rows
        ]

    @routes.get(
        "/referrals/{referral_id}",
        responses=problems(404),
        summary="One referral, with the policy's advice",
    )
    async def one(referral_id: UUID) -> ShownReferralWithDeadlines:
        async with executor.engine.connect() as connection:
            referral = await store.find(connection, referral_id)
            dates = await deadlines.list_about(connection, referral_id)
        if referral is None:
            raise Refused(f"There is no referral {referral_id}: check the id.", missing=True)
        return shown_with_deadlines(referral, pack, dates)

    return routes
