"""How the county speaks HTTP: the same key until it is answered, and no refusal is overlooked."""

from collections.abc import Callable

import httpx
import pytest

from services.county.acts import Act, Doing
from services.county.seen import ObjectiveSeen
from services.county.site import PlayError, Site

Answer = Callable[[httpx.Request], httpx.Response]


def site(answer: Answer, *, patience_seconds: float = 5.0) -> Site:
    transport = httpx.MockTransport(answer)
    return Site("http://county.test/", patience_seconds=patience_seconds, transport=transport)


def an_act(number: int = 1) -> Act:
    return Act(Doing.PLAN_REVIEW, f"/cases/{number}/reviews", f"county/{number}", {"outcome": "continue"})


async def test_a_site_that_restarts_gets_the_same_request_again() -> None:
    """Connection refused, then a store that is away, then the answer: one key throughout."""
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503 if len(keys) == 2 else 200)

    async with site(answer) as client:
        await client.send_all([an_act()])
    assert keys == ["county/1"] * 3


async def test_a_site_that_stays_away_is_given_up() -> None:
    """The patience is bounded, and the error says what was sent where."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with site(answer, patience_seconds=0) as client:
        with pytest.raises(PlayError, match="POST /cases/1/reviews: nobody answers"):
            await client.send_all([an_act()])


@pytest.mark.parametrize("status", [404, 409, 422])
async def test_a_refusal_that_nobody_expects_ends_the_play(status: int) -> None:
    """The error shows what was sent and what was answered."""
    async with site(lambda _: httpx.Response(status, text="no such thing")) as client:
        with pytest.raises(PlayError, match=f"'outcome': 'continue'.* was answered {status}: no such thing"):
            await client.send_all([an_act(number) for number in range(3)])


async def test_an_expected_refusal_is_an_answer() -> None:
    """A referral that is typed in twice is refused the second time; other mistakes are not excused."""
    async with site(lambda _: httpx.Response(409)) as client:
        assert await client.send("/referrals", {}, key="again-1", may_be_refused=True) is False
    async with site(lambda _: httpx.Response(201)) as client:
        assert await client.send("/referrals", {}, key="again-1", may_be_refused=True) is True
    async with site(lambda _: httpx.Response(422)) as client:
        with pytest.raises(PlayError):
            await client.send("/referrals", {}, key="again-1", may_be_refused=True)


async def test_lists_are_read_to_their_end() -> None:
    """Page by page, with the filters on every page; the cursor goes back as it came."""
    cursors: list[str | None] = []
    ids = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(3)]

    def answer(request: httpx.Request) -> httpx.Response:
        cursors.append(request.url.params.get("cursor"))
        assert request.url.params["status"] == "open"
        number = len(cursors) - 1
        item = {"objective_id": ids[number], "new_field": 1}
        return httpx.Response(
            200, json={"items": [item], "next_cursor": f"after-{number}" if number < 2 else None}
        )

    async with site(answer) as client:
        rows = await client.every(ObjectiveSeen, "/objectives", status="open")
    assert [str(row.objective_id) for row in rows] == ids
    assert cursors == [None, "after-0", "after-1"]
