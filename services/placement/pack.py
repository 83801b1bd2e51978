"""The parts of a policy pack that the placement service reads."""

from services.kernel.deadlines.rules import DeadlineRule
from services.kernel.pack.model import Deadlines, Pack


class PlacementDeadlines(Deadlines):
    """The kinds of deadline that the placement service keeps."""

    placement_review_first: DeadlineRule
    """From the day the child becomes looked after to the first review."""
    placement_review_second: DeadlineRule
    """From the first review to the second."""
    placement_review_later: DeadlineRule
    """From any later review to the next."""
    exit_interview: DeadlineRule
    """From the end of a placement to the exit interview with the child."""

    def review_after(self, reviews_held: int) -> tuple[str, DeadlineRule]:
        """Return kind and rule of the review that follows `reviews_held` earlier ones (0 or more)."""
        kinds = ("placement_review_first", "placement_review_second", "placement_review_later")
        kind = kinds[min(reviews_held, 2)]
        return kind, self[kind]


class PlacementPack(Pack):
    """The clocks of placements."""

    deadlines: PlacementDeadlines
