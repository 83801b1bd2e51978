"""Who is measured: our worker and its peers, each a program that runs until SIGTERM."""

import sys
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Variant:
    """One program. `group` is its consumer group."""

    name: str
    words: str
    argv: tuple[str, ...]
    group: str
    single: bool = False
    """Whether it commits once per event."""


def _peer(module: str, words: str, *, single: bool = False) -> Variant:
    argv = (sys.executable, "-m", f"tests.bench.peers.{module}")
    return Variant(module, words, argv, f"bench-{module.replace('_', '-')}", single)


def worker_of(service: str) -> Variant:
    """Return one of our own workers."""
    argv = (sys.executable, "-m", "services.cli.main", "worker", service)
    return Variant(f"worker-{service}", f"leadline worker {service}", argv, service)


LEADLINE = replace(worker_of("assessment"), name="leadline")
WEB_NOTIFY = Variant(
    "web-notify",
    "leadline web notify",
    (sys.executable, "-m", "services.cli.main", "web", "notify"),
    "",
)
AIOKAFKA_BATCH = _peer("aiokafka_batch", "aiokafka + asyncpg, batches by hand, reads ahead")
PEERS = (
    _peer("faust_single", "Faust agent + SQLAlchemy, per event", single=True),
    _peer("faststream_single", "FastStream + SQLAlchemy, per event", single=True),
    _peer("faststream_batch", "FastStream + SQLAlchemy, batches"),
    AIOKAFKA_BATCH,
)
VARIANTS = {variant.name: variant for variant in (LEADLINE, *PEERS)}
"""All that run in the pipeline, by name."""
