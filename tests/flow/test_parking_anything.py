"""Whatever stands in a record, it can be parked: by every service, as it came, and the next is handled."""

import random
from collections.abc import Mapping

import pytest

from services.assessment.app import build as assessment
from services.kernel.messages.record import Record
from services.kernel.store import dead_letters
from services.kernel.worker.process import Build
from services.notify.app import build as notify
from services.placement.app import build as placement
from services.referral.app import build as referral
from tests.flow.conftest import Bench, MakeBench

pytestmark = pytest.mark.connected

BYTES = random.Random(13)
VALUE = b'{"child_id": 1}'
ODDITIES: Mapping[str, tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]] = {
    "a key longer than an index entry": (BYTES.randbytes(3_000), VALUE, ()),
    "a key of a megabyte": (BYTES.randbytes(1024 * 1024), VALUE, ()),
    "an empty key": (b"", VALUE, ()),
    "no key": (None, VALUE, ()),
    "a key of zeros": (bytes(36), VALUE, ()),
    "no value": (b"k", None, ()),
    "a value of zeros": (b"k", bytes(100_000), ()),
    "a value of two megabytes": (b"k", BYTES.randbytes(2 * 1024 * 1024), ()),
    "50,000 headers": (b"k", VALUE, tuple((f"name-{number}", b"v") for number in range(50_000))),
    "a header of zeros": (b"k", VALUE, (("zeros", bytes(40)), ("no value", None))),
    "a header whose name holds zeros": (b"k", VALUE, (("na\x00me", b"v"),)),
    "a header whose name is half a pair": (b"k", VALUE, (("\ud800", b"v"),)),
    "a header with a name of a megabyte": (b"k", VALUE, (("n" * 1024 * 1024, b"v"),)),
    "headers of any bytes": (b"k", VALUE, (("ce_source", BYTES.randbytes(200)),)),
    "a type of any bytes": (b"k", VALUE, (("ce_type", b"\x00\xff" * 40_000),)),
    "an id of any length": (b"k", VALUE, (("ce_id", b"i" * 1024 * 1024),)),
}


BUILDS: Mapping[str, Build] = {
    "referral": referral,
    "assessment": assessment,
    "placement": placement,
    "notify": notify,
}


@pytest.mark.parametrize("name", BUILDS)
async def test_every_record_is_parked_as_it_came(name: str, bench: MakeBench) -> None:
    """Nothing in it makes the statement fail that keeps it, and nothing in it is lost on the way."""
    service: Bench = await bench(name, BUILDS[name])
    handled = next(iter(service.service.handlers))
    topic = next(topic.name for topic in service.service.reads if handled in topic.events)
    ours = ("ce_type", handled.wire_type.encode())
    records = [
        Record(topic, 0, number, key, value, (ours, *headers))
        for number, (key, value, headers) in enumerate(ODDITIES.values(), start=1)
    ]
    await service.delivery.deliver(records)
    async with service.engine.connect() as connection:
        letters = await dead_letters.list_letters(connection, limit=100)
    assert [letter.record for letter in letters] == records
    assert {letter.state for letter in letters} <= {"parked", "waiting"}
