"""The county's HTTP client: asks for lists, sends what people do, and waits out restarts."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from services.county.acts import Act
from services.county.seen import Seen

S = TypeVar("S", bound=Seen)

PATIENCE_SECONDS = 90.0
"""How long one request may meet a site that is away before the county gives up."""

_PAUSE_SECONDS = 0.2
_PAGE = 500
_AT_ONCE = 6
_SERVER_ERROR = 500
_CONFLICT = 409


class PlayError(Exception):
    """The county cannot go on: the system answered what it should not, or nothing at all."""


async def together(work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do all the work at the same time. The first error ends the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for each in work:
                tasks.create_task(each)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class Site:
    """One site. Sends a few requests at a time.

    A request that meets nobody, or a server's mistake, is sent again with the same Idempotency-Key until it
    is answered, for `patience_seconds` at the most.
    """

    def __init__(
        self,
        address: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address.rstrip("/")
        self._patience = patience_seconds
        self._client = httpx.AsyncClient(base_url=self.address, timeout=30.0, transport=transport)
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str | int) -> Any:
        """Return what a page shows. Raises PlayError for any other answer than success."""
        response = await self._ask("GET", path, params=query)
        if response.is_error:
            raise PlayError(f"GET {path} was answered {response.status_code}: {response.text[:300]}")
        return response.json()

    async def every(self, model: type[S], path: str, **query: str | int) -> list[S]:
        """Return all rows of a list, page by page. A row that leaves it meanwhile hides no other."""
        page = await self.get(path, **query, limit=_PAGE)
        rows = [model.model_validate(item) for item in page["items"]]
        while page["next_cursor"] is not None:
            page = await self.get(path, **query, limit=_PAGE, cursor=page["next_cursor"])
            rows += [model.model_validate(item) for item in page["items"]]
        return rows

    async def send(
        self, path: str, body: Mapping[str, Any], *, key: str, may_be_refused: bool = False
    ) -> bool:
        """Send a command; return whether it was done.

        False when it was refused and `may_be_refused`. Raises PlayError for every other refusal, and when
        nobody answers.
        """
        response = await self._ask("POST", path, json=dict(body), headers={"Idempotency-Key": key})
        if response.is_success:
            return True
        if may_be_refused and response.status_code == _CONFLICT:
            return False
        raise PlayError(f"POST {path} {body} was answered {response.status_code}: {response.text[:300]}")

    async def send_all(self, acts: Iterable[Act]) -> None:
        """Send what people do at one moment. Raises PlayError when one is refused."""
        await together(self.send(act.path, act.body, key=act.key) for act in acts)

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._patience
        while True:
            try:
                async with self._at_once:
                    response = await self._client.request(method, path, **arguments)
            except httpx.TransportError as error:
                trouble = f"nobody answers ({type(error).__name__})"
            else:
                if response.status_code < _SERVER_ERROR:
                    return response
                trouble = f"it was answered {response.status_code}: {response.text[:300]}"
            if loop.time() > give_up:
                raise PlayError(f"{method} {path}: {trouble}, for {self._patience:.0f} seconds")
            await asyncio.sleep(_PAUSE_SECONDS)
