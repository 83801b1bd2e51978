"""The checks of copies: what one service keeps of another's things is what that one has."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from services.kernel.audit import queries as audit_queries
from services.kernel.audit.findings import COPIES, ReportLine
from services.kernel.audit.passing import UNANSWERED
from services.kernel.audit.queries import Copied, Extent, Original, looking
from services.kernel.audit.within import FIRST_KEY, Audited
from services.kernel.postgres.connection import Connection

NO_ORIGINAL = 0


@dataclass
class Copies:
    """The copies that `holder` keeps of the owner's things.

    `differing` has those that say something else, with the version of the original. An original that has
    had another event meanwhile is a new question: only what stays as it is counts.
    """

    owner: Audited
    holder: Audited
    copied: Copied
    extent: Extent
    """The part of the owner's journal that is looked at."""
    differing: dict[UUID, int] = field(default_factory=dict)
    failed: str = ""

    @property
    def here(self) -> int:
        """Return how many copies differ."""
        return len(self.differing)

    async def look(self) -> None:
        """Compare every copy, or those of the part that is looked at, until too many differ."""
        self.failed = self.owner.away or self.holder.away
        if self.failed:
            return
        try:
            if self.extent.whole:
                await self._look_at_originals()
                await self._look_at_copies()
            else:
                await self._look_at_part()
        except _Unanswered as error:
            self.failed = str(error)

    async def again(self) -> None:
        """Forget the copies that are right by now, and those whose originals have changed since."""
        try:
            now = await self._compared(list(self.differing))
        except _Unanswered as error:
            self.failed = str(error)
            return
        self.differing = {key: version for key, version in self.differing.items() if now.get(key) == version}

    def line(self, *, grace_seconds: float) -> ReportLine:
        """Return the answer, in the holder's name."""
        facts = {"owner": self.copied.owner, "things": self.copied.things}
        if self.failed:
            return COPIES.unseen(self.holder.name, self.failed, **facts)
        return COPIES.line(self.holder.name, self.differing, grace=grace_seconds, **facts)

    async def _look_at_originals(self) -> None:
        after = FIRST_KEY
        while len(self.differing) < audit_queries.MOST:
            async with _asked(self.owner) as connection:
                page = await audit_queries.originals(connection, self.copied, after)
            self.differing |= await self._unlike(page)
            if len(page) < audit_queries.CHUNK:
                return
            after = page[-1].key

    async def _look_at_copies(self) -> None:
        """Find those of which there is no original."""
        after = FIRST_KEY
        while len(self.differing) < audit_queries.MOST:
            async with _asked(self.holder) as connection:
                page = await audit_queries.copied_keys(connection, self.copied, after)
            self.differing |= await self._compared(page)
            if len(page) < audit_queries.CHUNK:
                return
            after = page[-1]

    async def _look_at_part(self) -> None:
        for after, until in self.extent.chunks():
            async with _asked(self.owner) as connection:
                told = await audit_queries.originals_told(connection, self.copied, after, until)
            self.differing |= await self._unlike(told)
            if len(self.differing) >= audit_queries.MOST:
                return

    async def _compared(self, keys: Iterable[UUID]) -> dict[UUID, int]:
        """Return those of the things that holder and owner tell differently, or one of them not at all."""
        keys = list(keys)
        async with _asked(self.owner) as connection:
            originals = await audit_queries.originals_of(connection, self.copied, keys)
        return await self._unlike(originals, without=set(keys) - {one.key for one in originals})

    async def _unlike(
        self, originals: Iterable[Original], *, without: Iterable[UUID] = ()
    ) -> dict[UUID, int]:
        """Return the originals that have no copy like them, and the copies that are `without` an original."""
        wanted: dict[UUID, Original | None] = {one.key: one for one in originals}
        wanted |= dict.fromkeys(without)
        if not wanted:
            return {}
        async with _asked(self.holder) as connection:
            copies = await audit_queries.copies_of(connection, self.copied, wanted)
        return {
            key: NO_ORIGINAL if one is None else one.version
            for key, one in wanted.items()
            if copies.get(key) != (None if one is None else one.facts)
        }


class _Unanswered(Exception):  # noqa: N818 - a finding, not a mistake
    """Which store does not answer, and why."""


@asynccontextmanager
async def _asked(store: Audited) -> AsyncIterator[Connection]:
    """Give a look into a store. Raises _Unanswered."""
    try:
        async with looking(store.engine) as connection:
            yield connection
    except UNANSWERED as error:
        raise _Unanswered(f"{store.name}: {store.gave_up(error)}") from None
