"""Everything the assessment service reacts to."""

from collections.abc import Sequence

from schemas.events import Event, ReferralAccepted
from services.assessment import policy
from services.assessment.book import CaseBook
from services.assessment.model import CompleteAssessment, ReviewPlan
from services.kernel.processing.service import Command, Context, Handler, Produced


def on_referral_accepted(book: CaseBook, event: ReferralAccepted, context: Context) -> Sequence[Produced]:
    """Open the child's case with a lead professional, unless one is open."""
    candidates = book.roster.candidates(event.locality)
    return policy.decide_referral_accepted(
        book.history(event.child_id),
        event,
        case_id=context.id("case"),
        candidates=candidates,
        points=book.points(candidates),
        pack=book.pack,
        calendar=context.calendar,
        now=context.now,
    )


def complete_assessment(book: CaseBook, command: CompleteAssessment, context: Context) -> Sequence[Produced]:
    """Conclude a child's assessment."""
    return policy.decide_completion(
        book.case(command.case_id), command, pack=book.pack, calendar=context.calendar, now=context.now
    )


def review_plan(book: CaseBook, command: ReviewPlan, context: Context) -> Sequence[Produced]:
    """Review a child's plan."""
    return policy.decide_review(
        book.case(command.case_id), command, pack=book.pack, calendar=context.calendar, now=context.now
    )


HANDLERS: dict[type[Event], Handler] = {ReferralAccepted: on_referral_accepted}

COMMANDS: dict[type[Command], Handler] = {
    CompleteAssessment: complete_assessment,
    ReviewPlan: review_plan,
}
