"""Everything the referral service reacts to."""

from collections.abc import Sequence
from typing import Literal

from schemas.events import Event, ReferralMade
from services.kernel.messages.faults import Refused
from services.kernel.processing.service import Command, Context, Handler, Produced
from services.referral import policy
from services.referral.book import ReferralBook
from services.referral.model import DecideReferral, Intake, ReceiveReferral


def on_referral_made(book: ReferralBook, event: ReferralMade, context: Context) -> Sequence[Produced]:
    """Receive a referral that a partner agency published. Sending it again changes nothing.

    An unknown locality is accepted: a misspelt code must not hold up a child, so the county's duty team
    gets the case.
    """
    intake = Intake.of(event)
    if book.known(intake) is not None:
        return []
    return _receive(book, intake, context, channel="bus")


def receive_referral(book: ReferralBook, command: ReceiveReferral, context: Context) -> Sequence[Produced]:
    """Receive a referral over HTTP; an unknown locality is refused at once."""
    localities = [locality.code for locality in book.pack.localities]
    if command.locality not in localities:
        raise Refused(f"There is no locality {command.locality}: use one of {', '.join(localities)}.")
    known = book.known(command)
    if known is not None:
        raise Refused(f"You have already made this referral: see /referrals/{known}.")
    return _receive(book, command, context, channel="http")


def decide_referral(book: ReferralBook, command: DecideReferral, context: Context) -> Sequence[Produced]:
    """Decide on a referral."""
    referral = book.referral(command.referral_id)
    return policy.decide_triage(referral, command, pack=book.pack, now=context.now)


def _receive(
    book: ReferralBook, intake: Intake, context: Context, *, channel: Literal["http", "bus"]
) -> Sequence[Produced]:
    return policy.decide_receipt(
        intake,
        referral_id=context.id("referral"),
        channel=channel,
        pack=book.pack,
        calendar=context.calendar,
        now=context.now,
    )


HANDLERS: dict[type[Event], Handler] = {ReferralMade: on_referral_made}

COMMANDS: dict[type[Command], Handler] = {
    ReceiveReferral: receive_referral,
    DecideReferral: decide_referral,
}
