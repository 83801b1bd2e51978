"""Mistakes planted in the kernel, each a patch: a simulation that misses one of them has a hole there.

They are what a careful person could have written. What a second net of the kernel makes harmless is none of
them, for nothing is lost by it: a relay without its lock only publishes twice, for example, and a batch that
outlives its partitions only meets its own claims.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from tests.simulation.bugs import delivering, relaying, scanning, taking, transactions

Bug = Callable[[], AbstractContextManager[object]]
"""Gives a context: as long as it is held, the kernel has the mistake."""

PLANTED: tuple[Bug, ...] = (
    relaying.last_position_remembered,
    relaying.all_up_to_the_last_removed,
    relaying.wake_up_lost,
    relaying.acknowledgement_not_awaited,
    relaying.removed_before_published,
    relaying.ordered_by_id,
    relaying.only_the_failed_sent_again,
    relaying.lost_bus_unnoticed,
    relaying.marks_not_kept,
    taking.offsets_committed_before_settled,
    taking.positions_committed,
    taking.batches_side_by_side,
    taking.failed_batch_passed,
    delivering.claim_disabled,
    delivering.duplicates_of_one_batch_kept,
    delivering.invalid_messages_skipped,
    delivering.refused_event_swallowed,
    delivering.one_lost_in_halving,
    delivering.letters_not_written,
    delivering.nobody_waits,
    delivering.nobody_waits_in_one_batch,
    delivering.busy_database_taken_for_poison,
    delivering.refusal_taken_for_a_busy_database,
    transactions.claim_outside_the_transaction,
    transactions.journal_outside_the_transaction,
    transactions.commit_taken_for_granted,
    transactions.deadlines_from_memory,
    scanning.raised_without_marking,
    scanning.marked_without_raising,
    scanning.raised_early,
    scanning.missed_state_skipped,
    scanning.given_up_after_a_failure,
)

BUGS: Mapping[str, Bug] = {bug.__name__: bug for bug in PLANTED}
