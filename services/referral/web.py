"""The referral service's HTTP API."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from schemas.events import Code, Event
from services.kernel.messages.faults import Refused
from services.kernel.processing.commands import CommandExecutor
from services.kernel.processing.service import Command
from services.kernel.store import deadlines
from services.kernel.web.api import ALWAYS, TO_COMMANDS, IdempotencyKey, Paging, problems
from services.kernel.web.bodies import BodyRoute
from services.referral import policy, store
from services.referral.book import ReferralBook
from services.referral.model import CloseReason, DecideReferral, Outcome, ReceiveReferral, Referral
from services.referral.pack import ReferralPack
from services.referral.store import ReferralFilter, ReferralStore, Sort


class Decision(Command):
    """What a duty worker decides; without an outcome the policy's advice is taken."""

    decided_by: Code
    outcome: Outcome | None = None
    override_reason: Code | None = None
    close_reason: CloseReason | None = None


def router(executor: CommandExecutor[ReferralBook, ReferralStore]) -> APIRouter:
    """Return the routes of the referral service."""
    routes = APIRouter(route_class=BodyRoute, tags=["referral"], responses=ALWAYS)
    pack = executor.service.store.pack

    @routes.post("/referrals", status_code=201, responses=TO_COMMANDS, summary="Refer a child")
    async def refer(command: ReceiveReferral, key: IdempotencyKey) -> dict[str, Any]:
        return await executor.execute(command, key=key, respond=_shown_with(pack))

    @routes.post(
        "/referrals/{referral_id}/decision",
        responses=TO_COMMANDS,
        summary="Accept, redirect or close a referral",
    )
    async def decide(referral_id: UUID, decision: Decision, key: IdempotencyKey) -> dict[str, Any]:
        try:
            command = DecideReferral(referral_id=referral_id, **decision.model_dump())
        except ValidationError as error:  # what the fields of the decision get wrong together
            raise RequestValidationError(error.errors()) from None
        return await executor.execute(command, key=key, respond=_shown_with(pack))

    @routes.get("/referrals", summary="List referrals")
    async def listing(
        page: Paging,
        status: Literal["received", "accepted", "redirected", "closed"] | None = None,
        agency_id: Code | None = None,
        locality: Code | None = None,
        child_id: UUID | None = None,
        sort: Annotated[Sort, Query(description="By the time of receipt.")] = "newest",
    ) -> dict[str, Any]:
        chosen = ReferralFilter(status, agency_id, locality, child_id)
        cursors = store.LIST[sort].cursors(chosen.parameters())
        after = page.after(cursors)
        async with executor.engine.connect() as connection:
            found = await store.list_referrals(connection, chosen, sort=sort, limit=page.limit, after=after)
        return page.of(found.map(lambda referral: _shown(referral, pack)), cursors)

    @routes.get("/referrals/figures", summary="Referrals by kind of agency and status")
    async def figures() -> list[dict[str, Any]]:
        async with executor.engine.connect() as connection:
            rows = await store.figures(connection)
        return [{"agency": agency, "status": status, "count": count} for agency, status, count in rows]

    @routes.get(
        "/referrals/{referral_id}",
        responses=problems(404),
        summary="One referral, with the policy's advice",
    )
    async def one(referral_id: UUID) -> dict[str, Any]:
        async with executor.engine.connect() as connection:
            referral = await store.find(connection, referral_id)
            dates = await deadlines.list_about(connection, referral_id)
        if referral is None:
            raise Refused(f"There is no referral {referral_id}: check the id.", missing=True)
        return _shown(referral, pack) | {"deadlines": dates}

    return routes


def _shown_with(pack: ReferralPack) -> Any:
    def respond(book: ReferralBook, events: Sequence[Event]) -> dict[str, Any]:
        """Answer with the referral that the command touched."""
        return _shown(book.referral(events[0].subject), pack)

    return respond


def _shown(referral: Referral, pack: ReferralPack) -> dict[str, Any]:
    """Return a referral as people see it; until it is decided with the policy's advice."""
    intake = referral.intake
    assert intake is not None  # noqa: S101 - absent referrals are not shown
    shown: dict[str, Any] = {
        "referral_id": referral.referral_id,
        "status": referral.status,
        "child_id": intake.child_id,
        "family_id": intake.family_id,
        "agency": intake.agency,
        "agency_id": intake.agency_id,
        "agency_reference": intake.agency_reference,
        "locality": intake.locality,
        "concerns": intake.concerns,
        "immediate_risk": intake.immediate_risk,
        "information_only": intake.information_only,
        "received_at": referral.received_at,
        "decided_at": referral.decided_at,
        "decided_by": referral.decided_by,
    }
    if referral.status == "received":
        advice = policy.advise(intake, pack)
        shown["advice"] = {
            "recommend": advice.recommend,
            "rule": advice.code,
            "words": advice.words,
            "level": advice.level,
        }
    return shown
