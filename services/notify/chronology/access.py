"""Decides who may look at a child's chronology; nothing else does."""

from uuid import UUID

from services.kernel.pack.people import Organisation, Person, managed_by
from services.kernel.postgres.connection import Connection
from services.notify.chronology import queries


async def may_see(
    connection: Connection, person: Person, child_id: UUID, *, organisation: Organisation
) -> bool:
    """Return whether somebody is around a child, or manages somebody who is.

    By relationship: they or people whom they manage were told of the child (as a referrer does not count),
    lead a case, manage its team, or have a role of their own for the child. A referring agency never may.
    """
    return person.works_with_children and await queries.is_around(
        connection,
        child_id,
        person_id=person.person_id,
        recipients=sorted({*person.inboxes, *managed_by(organisation, person)}),
        teams=person.boards,
    )
