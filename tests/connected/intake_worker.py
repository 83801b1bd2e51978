"""A worker process for test_intake.py: commits every batch to a file as one write, and can be told to fail.

Arguments: bootstrap, topic, group, file, seconds per batch, and `fail-at=N` to raise once N values are in.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from services.kernel.kafka.consumer import BatchConsumer
from services.kernel.messages.record import Record
from services.kernel.worker.faust_worker import create_app, run


def commit(store: Path, records: Sequence[Record]) -> None:
    """Append where the records come from, in one write."""
    with store.open("a") as file:
        file.write("".join(f"{record.partition} {record.offset}\n" for record in records))


def main() -> int:
    """Run until a signal or a failure; return the exit code."""
    bootstrap, topic, group, file, seconds, *rest = sys.argv[1:]
    fail_at = int(rest[0].removeprefix("fail-at=")) if rest else None
    committed = 0

    async def deliver(records: Sequence[Record]) -> None:
        nonlocal committed
        if fail_at is not None and committed + len(records) > fail_at:
            raise ConnectionError(records[0].value)
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await asyncio.sleep(float(seconds))
        commit(Path(file), records)
        committed += len(records)
        sys.stdout.write("committed\n")
        sys.stdout.flush()

    intake = BatchConsumer(
        topics=[topic],
        group=group,
        bootstrap=bootstrap,
        prepare=list,
        deliver=deliver,
        max_batch=50,
        grace_seconds=2,
    )
    return run(create_app("test-intake", services=[intake]))


if __name__ == "__main__":
    sys.exit(main())
