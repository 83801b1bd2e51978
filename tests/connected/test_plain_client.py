"""A program that has only the AsyncAPI document can refer a child and reads our answer."""

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import yaml

from deploy.embedded.engines import Engines

pytestmark = pytest.mark.connected

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "schemas" / "asyncapi.yaml"

MESSAGE_IDS = UUID("6f1c2f0e-3f6b-5a58-9c53-6f0f7e1f8f10")
"""As the document gives it, beside `ce_causationid`."""

LAUNCH = """
import importlib.util, runpy, sys
sys.path.append(sys.argv[1])
def is_ours(name):  # somebody else's package may have the same name
    spec = importlib.util.find_spec(name)
    places = spec and [*(spec.submodule_search_locations or [spec.origin])]
    return bool(places) and not all(place.startswith(sys.argv[1]) for place in places)
ours = [name for name in ("schemas", "services", "deploy", "tests") if is_ours(name)]
if ours:
    sys.exit(f"this interpreter can import {ours}: the client would not be a stranger")
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Third-party packages without the `.pth` files that make the checkout importable."""

Answer = Callable[[Any, dict[str, str]], tuple[dict[str, str], dict[str, Any]]]


def run_client(directory: Path, document: str, bootstrap: str, *, timeout: int) -> tuple[int, str, str]:
    """Run the client in a directory that holds it and the document, and nothing else of ours."""
    shutil.copy(Path(__file__).with_name("plain_client.py"), directory)
    (directory / "asyncapi.yaml").write_text(document, encoding="utf-8")
    command = [sys.executable, "-I", "-S", "-c", LAUNCH, sysconfig.get_path("purelib")]
    command += ["plain_client.py", "asyncapi.yaml", bootstrap, "--timeout", str(timeout)]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=timeout + 60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("referral_service")
def test_stranger_refers_a_child_and_gets_a_receipt(engines: Engines, tmp_path: Path) -> None:
    """Published by the document's example, answered by the real service, valid by the document's schemas."""
    code, out, err = run_client(tmp_path, DOCUMENT.read_text(encoding="utf-8"), engines.kafka, timeout=60)
    assert code == 0, err
    result = json.loads(out)
    assert result["topic"] == "referral-events"
    assert result["data"]["child_id"] == result["key"]
    assert result["data"]["channel"] == "bus"
    assert result["headers"]["ce_source"] == "/leadline/referral"
    cause = uuid5(MESSAGE_IDS, f"{result['sent']['ce_source']}\n{result['sent']['ce_id']}")
    assert result["headers"]["ce_causationid"] == str(cause)


def receipt(referral: Any, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Answer a referral the way the document promises."""
    referral_id = str(uuid4())
    data = {name: value for name, value in referral.items() if name in RECEIPT_FIELDS} | {
        "referral_id": referral_id,
        "received_at": referral["made_at"],
        "channel": "bus",
    }
    return headers | {
        "ce_id": str(uuid4()),
        "ce_source": "/leadline/referral",
        "ce_type": "referral.received.v1",
        "ce_subject": referral_id,
        "ce_dataschema": "https://leadline.example/schemas/referral.received.v1.schema.json",
        "ce_sequence": "1",
        "ce_correlationid": str(uuid4()),
        "ce_causationid": str(uuid4()),
    }, data


RECEIPT_FIELDS = {"child_id", "family_id", "agency", "agency_id", "agency_reference", "locality", "concerns"}


def receipt_without_child(referral: Any, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Break the payload's promise."""
    answer_headers, data = receipt(referral, headers)
    del data["child_id"]
    return answer_headers, data


def receipt_without_sequence(referral: Any, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Break the headers' promise."""
    answer_headers, data = receipt(referral, headers)
    del answer_headers["ce_sequence"]
    return answer_headers, data


def something_else(referral: Any, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Answer with a type that the client did not ask for."""
    answer_headers, data = receipt(referral, headers)
    return answer_headers | {"ce_type": "referral.closed.v1"}, data


@contextmanager
def hand_made_service(bootstrap: str, inbound: str, outbound: str, answer: Answer) -> Iterator[None]:
    """Answer every message on `inbound` with one on `outbound`; the topics end with the block."""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    topics = [NewTopic(name, num_partitions=2, replication_factor=1) for name in (inbound, outbound)]
    admin.create_topics(topics)
    stop = threading.Event()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(inbound, number) for number in range(2)])
    producer = KafkaProducer(bootstrap_servers=bootstrap)

    def serve() -> None:
        while not stop.is_set():
            for records in consumer.poll(timeout_ms=100).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    answer_headers, data = answer(json.loads(record.value), headers)
                    producer.send(
                        outbound,
                        key=record.key,
                        value=json.dumps(data).encode(),
                        headers=[(name, value.encode()) for name, value in answer_headers.items()],
                    ).get(timeout=10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        producer.close()
        consumer.close()
        admin.delete_topics([inbound, outbound])
        admin.close()


@pytest.mark.filterwarnings(
    "ignore:(read|open)_text is deprecated:DeprecationWarning"
)  # kafka-python's import
@pytest.mark.parametrize(
    ("answer", "exit_code", "complaint"),
    [
        (receipt, 0, ""),
        (receipt_without_child, 1, "payload of referral.received.v1, $: 'child_id' is a required property"),
        (receipt_without_sequence, 1, "headers of referral.received.v1, $: 'ce_sequence' is a required"),
        (something_else, 1, "no referral.received.v1 for the child within 5 seconds"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_stranger_goes_by_the_document_and_notices_a_broken_promise(
    engines: Engines, tmp_path: Path, answer: Answer, exit_code: int, complaint: str
) -> None:
    """With other topics in the document it uses those; a wrong answer is refused: it can say no."""
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    suffix = uuid4().hex[:8]
    inbound, outbound = f"partner-events-{suffix}", f"referral-events-{suffix}"
    document["channels"]["partner-events"]["address"] = inbound
    document["channels"]["referral-events"]["address"] = outbound
    with hand_made_service(engines.kafka, inbound, outbound, answer):
        code, out, err = run_client(tmp_path, yaml.safe_dump(document), engines.kafka, timeout=5)
    assert code == exit_code, err
    assert complaint in err
    assert bool(out) is (exit_code == 0)
