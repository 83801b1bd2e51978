"""Poison is poison: every kind is set aside for the reason that is said, and none for a mistake of ours."""

from random import Random

import pytest

from schemas.events import ReferralMade
from schemas.topics import PARTNER
from services.kernel.messages.arrivals import Subscriber
from services.kernel.messages.record import Record
from tests.chaos.partner_journal import Published
from tests.chaos.poisoned import poisoned

KINDS = list(poisoned(Random(7)))


@pytest.mark.parametrize(("message", "reason"), [each[1:] for each in KINDS], ids=[each[0] for each in KINDS])
def test_every_kind_of_poison_is_set_aside_for_its_reason(message: Published, reason: str) -> None:
    """The service that takes care of what nobody can identify finds a fault that quotes no value."""
    key, value, headers = message
    reception = Subscriber("referral", {ReferralMade.wire_type: ReferralMade}, 256 * 1024)
    arrival = reception.receive(Record(PARTNER.name, 0, 1, key, value, tuple(headers)))
    assert arrival is not None
    assert arrival.fault is not None
    assert arrival.fault.reason == reason


def test_no_poison_makes_another_one_wait() -> None:
    """What has a parked event's key waits behind it: each kind has a key of its own, in every fault."""
    keys = [message[0] for seed in (7, 8) for _, message, _ in poisoned(Random(seed))]
    assert len(set(keys)) == len(keys) == 2 * len(KINDS)


def test_one_seed_gives_the_same_poison() -> None:
    """A run that failed can be had again."""
    assert list(poisoned(Random(7))) == KINDS
