"""The HTTP API that a referring agency polls: what has become of its own referrals, from a cursor on."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from schemas.events import Code
from services.kernel.base.examples import example
from services.kernel.processing.commands import CommandExecutor
from services.kernel.web.answers import Shown
from services.kernel.web.api import problems
from services.notify.book import NotifyBook
from services.notify.referrers.policy import State
from services.notify.referrers.store import updates as agency_updates
from services.notify.referrers.store.keys import Doorkeeper, KeyTable

CURSOR = re.compile(rb"1:([1-9][0-9]{0,17}):([0-9a-f]{16})")

UPDATE: Mapping[str, Any] = {
    "update_id": "9e3b7c5d-1f08-5a46-b2d9-8c6e0a4f7d13",
    "referral_id": "a4c81f3e-6d09-5b7e-8f42-2d95e0b7c613",
    "agency_reference": "REF-17",
    "state": "accepted",
    "occurred_at": "2026-03-03T09:00:00Z",
    "redirected_to": None,
    "lead_professional": None,
}

Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, description="The agency's key: `leadline agency-keys issue`.")),
]
AgencyId = Annotated[Code, Path(description="The agency's id, as in its referrals.")]
After = Annotated[
    str | None, Query(max_length=100, description="The cursor of the last answer; none: from the beginning.")
]


class Cursor(NamedTuple):
    """How far somebody has read: the position, and a digest of all the updates up to it, in any order.

    The second tells a store that was restored or lost, and has its updates in another order: the same
    position there may leave out what they have not read.
    """

    position: int
    digest: int

    def text(self) -> str:
        """Return the cursor as it travels; what is in it is nobody's business."""
        return base64.urlsafe_b64encode(b"1:%d:%016x" % (self.position, self.digest % 2**64)).decode()


class ShownLead(Shown):
    """Who leads a case, as far as the council lets agencies know."""

    model_config = example({"id": "sw-014", "team": "huntingdon-early-help"})

    id: str | None
    team: str


class ShownUpdate(Shown):
    """One step of one referral. Its fields are those of `Update.shown`."""

    model_config = example(UPDATE)

    update_id: UUID
    referral_id: UUID
    agency_reference: str | None
    state: State
    occurred_at: datetime
    redirected_to: str | None
    lead_professional: ShownLead | None


class ShownUpdates(Shown):
    """What has become of an agency's referrals since it asked last."""

    model_config = example({"items": [UPDATE], "cursor": "MTo0OjZkMmE2YjZjNmYwZTVkMmY=", "more": False})

    items: tuple[ShownUpdate, ...]
    cursor: str | None
    """Send it as `after`; null: there has been nothing yet."""
    more: bool
    """Whether to ask again at once."""


def read_cursor(given: str) -> Cursor | None:
    """Return the cursor that a text holds; None when it holds none."""
    try:
        match = CURSOR.fullmatch(base64.urlsafe_b64decode(given.encode("ascii")))
    except ValueError:
        return None
    if match is None:
        return None
    return Cursor(int(match[1]), int.from_bytes(bytes.fromhex(match[2].decode()), signed=True))


def add(
    routes: APIRouter, executor: CommandExecutor[NotifyBook], doorkeeper: Doorkeeper | None = None
) -> None:
    """Add the routes. Keys are looked up in the service's own store unless another doorkeeper is given."""
    keys = doorkeeper or KeyTable(executor.engine)

    @routes.get(
        "/referrers/{agency_id:path}/updates",
        responses=problems(401, 403, 404, 410),
        summary="What has become of an agency's referrals",
    )
    async def updates_of(
        agency_id: AgencyId,
        bearer: Bearer,
        after: After = None,
        limit: Annotated[int, Query(ge=1, le=500, description="How many at the most.")] = 100,
    ) -> ShownUpdates:
        """Return the updates after a cursor, in an order that never changes, and the cursor to go on with.

        Keep the cursor and ask again: nothing is left out and nothing comes twice. `more` says whether to
        ask at once.
        """
        await _admit(keys, bearer, agency_id)
        async with executor.engine.connect() as connection:
            position = 0
            if after is not None:
                cursor = read_cursor(after)
                if cursor is None:
                    raise HTTPException(422, "This is no cursor of ours: send one as it came, or none.")
                if await agency_updates.find_at(connection, agency_id, cursor.position) != cursor.digest:
                    raise HTTPException(
                        410,
                        "The updates are no longer in the order in which you have read them: begin again"
                        " without a cursor, and pass over every update_id that you have.",
                    )
                position = cursor.position
            found = await agency_updates.after(connection, agency_id, position, limit=limit + 1)
        page = found[:limit]
        return ShownUpdates(
            items=ShownUpdate.each(each.update.shown() for each in page),
            cursor=Cursor(page[-1].position, page[-1].digest).text() if page else after,
            more=len(found) > limit,
        )


async def _admit(keys: Doorkeeper, bearer: HTTPAuthorizationCredentials | None, agency_id: str) -> None:
    """Let an agency in to its own updates. Raises HTTPException 401 or 403 for everybody else."""
    if bearer is None:
        detail = "Send the agency's key: Authorization: Bearer KEY."
        raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
    agency = await keys.find_agency(bearer.credentials)
    if agency is None:
        detail = "This key is unknown or was revoked: ask the council for a new one."
        raise HTTPException(401, detail, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if agency != agency_id:
        raise HTTPException(403, "This key opens another agency's updates: ask for those.")
