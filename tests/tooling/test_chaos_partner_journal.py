"""Partners send again what a wiped broker had acknowledged: all of it, and what it may have acknowledged."""

from random import Random
from uuid import uuid4

from tests.chaos.feed import Act
from tests.chaos.partner_journal import PartnerJournal

ACTS = [Act(number, "bus", uuid4()) for number in range(20)]


def test_a_loss_brings_back_everything_in_its_order() -> None:
    """Nobody knows what was read of it."""
    journal = PartnerJournal()
    assert journal.keep(ACTS[:5], losses=0)
    assert journal.keep(ACTS[5:], losses=0)
    assert journal.lost() == ACTS


def test_what_was_sent_before_a_loss_and_acknowledged_after_it_is_not_kept() -> None:
    """The broker that was wiped may have acknowledged it: whoever sent it must send it again."""
    journal = PartnerJournal()
    losses = journal.losses
    assert journal.lost() == []
    assert not journal.keep(ACTS, losses=losses)
    assert journal.lost() == []
    assert journal.keep(ACTS, losses=journal.losses)
    assert journal.lost() == ACTS


def test_some_of_it_is_a_matter_of_the_seed() -> None:
    """Acts of any age, in any order, no more than there are."""
    journal = PartnerJournal()
    assert journal.some(Random(7), 5) == []
    journal.keep(ACTS, losses=0)
    assert journal.some(Random(7), 5) == journal.some(Random(7), 5)
    assert sorted(act.number for act in journal.some(Random(7), 50)) == list(range(20))
