"""Marked personal values are planted everywhere something personal could come in; no output repeats one."""

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from prometheus_client import generate_latest

from deploy.embedded.engines import Engines
from schemas.events.codes import Channel
from services.kernel.base.logs import configure_logs
from tests.builders import AGENCY
from tests.connected.notify_rig import BY_NOTIFY, Rig, case_overdue, notify_rig, received

pytestmark = pytest.mark.connected

NAME, STREET, BORN, PHONE, MAILBOX = "Zebedee", "Quagmire", "2011-02-29", "07700900987", "zq.person"
MARKERS = (NAME, STREET, BORN, PHONE, MAILBOX)
WORDS = f"{NAME} of 1 {STREET} Street, born {BORN}, {PHONE}, {MAILBOX}@council.example"
DIRECTORY = (
    "recipient_id,email,phone,name\n"
    f"W-0600,{MAILBOX}@council.example,{PHONE},{NAME}\n"
    f"W-0601,,{STREET},{NAME}\n"
    f"duty-lt-ely,{MAILBOX}@council.example,,{NAME}\n"
)
"""One address that is none: the error of whoever refuses it quotes it."""


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    office = logging.getLogger("mail.log")  # aiosmtpd's: the far side writes down whom it serves, we do not
    propagates, office.propagate = office.propagate, False
    yield
    office.propagate = propagates
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(params=["smtp", "govuk_notify"])
async def rig(request: pytest.FixtureRequest, engines: Engines, tmp_path: Path) -> AsyncIterator[Rig]:
    """Every far side answers in words, and the words are personal."""
    changes = BY_NOTIFY if request.param == "govuk_notify" else {}
    async with notify_rig(engines, tmp_path, log_level="debug", **changes) as made:
        assert made.bench.settings.directory is not None
        made.bench.settings.directory.write_text(DIRECTORY)
        await made.subscribe("/team")
        await made.subscribe(f"/chat/{STREET}", channel=Channel.CHAT)
        await made.subscribe("/agency", owner=AGENCY)
        for endpoint in made.receiver.endpoints.values():
            endpoint.words = WORDS
        made.stub.words = WORDS
        yield made


async def played(rig: Rig) -> None:
    """Let alerts go out on every channel, past every kind of failure and refusal."""
    spoilt = rig.bench.record(received(7))
    assert spoilt.value is not None
    value = spoilt.value.replace(b'"school-1"', f'"{WORDS}"'.encode())
    await rig.bench.delivery.deliver([spoilt._replace(value=value)])
    for path in ("/team", "/agency"):
        rig.receiver.at(path).mode = "error"
    rig.office.answers = [f"451 4.7.1 {WORDS}", f"550 5.1.1 {WORDS}"]
    rig.stub.errors = [(500, WORDS), (400, "BadRequestError"), (429, "RateLimitError"), (403, WORDS)]
    await rig.bench.deliver(received(1), received(2), *case_overdue(1), *case_overdue(2))
    for _ in range(6):
        await rig.sending.send_due()
        rig.real.move(timedelta(hours=2))
    for path in ("/team", "/agency"):
        rig.receiver.at(path).mode = "ok"
    for _ in range(6):
        await rig.sending.send_due()
        rig.real.move(timedelta(hours=2))
    rig.stub.providers_answer()
    await rig.receipts.ask()


async def test_no_marked_value_leaves_by_any_way(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Bodies, subjects, headers, logs, metrics, tables, events: all have been written, none repeats one."""
    configure_logs(rig.bench.settings, service="notify", for_good=False)
    await played(rig)
    outputs = {
        "log": capsys.readouterr().err,
        "metrics": generate_latest().decode(),
        "journal": str([tuple(row) for row in await rig.bench.rows("SELECT type, data::text FROM journal")]),
        "deliveries": str([tuple(row) for row in await rig.deliveries()]),
        "alerts": str([tuple(row) for row in await rig.bench.rows("SELECT * FROM alerts")]),
        "texts": str([each.personalisation for each in rig.stub.kept.values()]),
    }
    for message in rig.office.kept:
        said = {name: value for name, value in message.items() if name != "To"}
        outputs["emails"] = f"{outputs.get('emails', '')}{said}{message.get_content()}"
    for path in ("/team", "/agency", f"/chat/{STREET}"):
        endpoint = rig.receiver.at(path)
        bodies = [body.decode() for body in endpoint.bodies]
        headers = [
            {name: value for name, value in each.items() if name.lower() != "host"}
            for each in endpoint.headers
        ]
        outputs[path.replace(STREET, "")] = f"{bodies}{headers}"
    assert ("emails" in outputs) == bool(rig.office.kept)
    assert all(len(output) > 100 for output in outputs.values()), "every output has something to search"
    for name, output in outputs.items():
        assert [marker for marker in MARKERS if marker in output] == [], name
    states = {(row.channel, row.state) for row in await rig.deliveries()}
    assert {"sent", "failed"} <= {state for _, state in states}
