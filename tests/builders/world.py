"""The child, the people and the moment that tests speak of when it does not matter which.

A child of Ely whose case W-0601 leads, on a Monday in September. Ids follow from the child's, so that a
second child has a referral, a case and a placement of its own.
"""

from datetime import UTC, datetime
from uuid import UUID

MONDAY = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
"""Ten o'clock in London."""
TODAY = MONDAY.date()
MIDNIGHT = datetime(2026, 9, 6, 23, 0, tzinfo=UTC)
"""The beginning of that Monday in London: what was due on Sunday is late from now on."""

AGENCY, LOCALITY, TEAM = "school-1", "ely", "lt-ely"
LEAD, MANAGER, OTHER, DUTY = "W-0601", "W-0600", "W-0602", "duty-lt-ely"


def a_child(number: int) -> UUID:
    """Return the id of a child."""
    return UUID(int=number)


def referral_of(child_id: UUID) -> UUID:
    """Return the id of a child's referral."""
    return _beside(child_id, 1000)


def case_of(child_id: UUID) -> UUID:
    """Return the id of a child's case."""
    return _beside(child_id, 2000)


def placement_of(child_id: UUID) -> UUID:
    """Return the id of a child's placement."""
    return _beside(child_id, 3000)


def _beside(child_id: UUID, distance: int) -> UUID:
    return UUID(int=(child_id.int + distance) % 2**128)


CHILD = a_child(1)
REFERRAL, CASE, PLACEMENT = referral_of(CHILD), case_of(CHILD), placement_of(CHILD)
