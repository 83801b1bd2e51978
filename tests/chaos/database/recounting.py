"""What was lost and what was done twice, from the list of events, the store and the bus."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from schemas.topics import ASSESSMENT
from services.assessment.pack import AssessmentPack
from tests.bench.backlog import Referral
from tests.bench.recount import recount
from tests.chaos.topic import records_on

LOST = """
    SELECT (SELECT count(*) FROM (SELECT DISTINCT message_id FROM delivered) AS d
            LEFT JOIN inbox USING (message_id) WHERE inbox.message_id IS NULL)
         + (SELECT count(*) FROM expected LEFT JOIN cases USING (case_id) WHERE cases.case_id IS NULL)
"""
TWICE = "SELECT count(*) - count(DISTINCT (causation_id, type, subject)) FROM journal"
"""An event has each of its effects once; there is no other way to write one twice."""

JOURNAL = "SELECT event_id FROM journal"


@dataclass(frozen=True)
class Recounted:
    """What one scenario left behind."""

    lost: int
    """Events without effect, and effects that are not on the bus."""
    twice: int
    disagreements: tuple[str, ...]
    """Whatever else the store and the list of events do not agree on."""

    @property
    def exact(self) -> bool:
        """Whether nothing at all was found."""
        return not (self.lost or self.twice or self.disagreements)


async def recounted(
    connection: "asyncpg.Connection[Any]",
    bootstrap: str,
    partitions: int,
    referrals: Sequence[Referral],
    pack: AssessmentPack,
) -> Recounted:
    """Recount a store that is at rest, and the bus that its relay has filled."""
    disagreements = await recount(connection, referrals, pack)
    lost = await connection.fetchval(LOST)
    twice = await connection.fetchval(TWICE)
    journal = {str(row[0]).encode() for row in await connection.fetch(JOURNAL)}
    # One may be there twice: inboxes are there to drop it.
    bus = {
        dict(record.headers)["ce_id"] async for record in records_on(bootstrap, ASSESSMENT.name, partitions)
    }
    if strangers := len(bus - journal):
        disagreements.append(f"bus: {strangers} events that are not in the journal")
    return Recounted(lost + len(journal - bus), twice, tuple(disagreements))
