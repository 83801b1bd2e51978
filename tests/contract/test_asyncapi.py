"""The AsyncAPI document is valid by the reference parser, and enough for a stranger."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
import yaml

from schemas.headers import MESSAGE_IDS
from schemas.topics import TOPICS, Topic
from services.kernel.messages.envelope import message_id

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "schemas" / "asyncapi.yaml"
CHECK = ROOT / "schemas" / "asyncapi-check"
INSTALLED = ROOT / "var" / "asyncapi-check"
FILES = ("package.json", "package-lock.json", "check.mjs", ".npmrc")

Complaints = Callable[[dict[str, Any], Any], list[str]]


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The committed document."""
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def parser() -> Path:
    """The AsyncAPI initiative's own parser, installed once per lock file below `var/`."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Node.js and npm: the AsyncAPI document is judged by the real parser.")
        pytest.skip("No Node.js with npm, so the AsyncAPI parser cannot run: `make test` fetches one.")
    return install(npm)


def install(npm: str) -> Path:
    """Install the parser where it is not yet, and return the directory; two sessions may race for it."""
    digest = hashlib.sha256(b"".join((CHECK / name).read_bytes() for name in FILES)).hexdigest()[:16]
    ready = INSTALLED / digest
    if ready.exists():
        return ready
    draft = INSTALLED / f"{digest}.{os.getpid()}"
    draft.mkdir(parents=True)
    for name in FILES:
        shutil.copy(CHECK / name, draft)
    command = [npm, "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=draft, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"npm ci failed:\n{done.stdout}\n{done.stderr}"
    try:
        draft.rename(ready)
    except OSError:  # another session was faster
        shutil.rmtree(draft)
    return ready


def break_nothing(_: dict[str, Any]) -> None:
    """Leave the document as it is."""


def lose_a_channel(document: dict[str, Any]) -> None:
    """Operations then point at nothing."""
    del document["channels"]["referral-events"]


def misspell_an_action(document: dict[str, Any]) -> None:
    """AsyncAPI knows `send` and `receive`."""
    document["operations"]["referral-sends-referral-events"]["action"] = "publish"


def lose_a_type(document: dict[str, Any]) -> None:
    """A payload then refers to nothing."""
    del document["components"]["schemas"]["RuleFired"]


def invent_a_type(document: dict[str, Any]) -> None:
    """JSON Schema has no type `uuid`."""
    document["components"]["schemas"]["ReferralMade"]["properties"]["child_id"]["type"] = "uuid"


def forget_the_title(document: dict[str, Any]) -> None:
    """AsyncAPI requires it."""
    del document["info"]["title"]


MISTAKES = (lose_a_channel, misspell_an_action, lose_a_type, invent_a_type, forget_the_title)


def test_real_parser_accepts_the_document_and_refuses_each_mistake(parser: Path, tmp_path: Path) -> None:
    """The document has no error, nor anything that the parser would rather see otherwise.

    The judge can say no: each mistake is an error, and an untouched copy has none. One call for all, for the
    parser takes ten seconds to start.
    """
    changes = (break_nothing, *MISTAKES)
    copies = [tmp_path / f"{change.__name__}.yaml" for change in changes]
    for change, copy in zip(changes, copies, strict=True):
        document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
        change(document)
        copy.write_text(yaml.safe_dump(document), encoding="utf-8")
    accepted, untouched, *refused = ask(parser, DOCUMENT, *copies)
    assert accepted == {"errors": 0, "diagnostics": []}
    assert untouched["errors"] == 0, untouched["diagnostics"]
    passed = [change.__name__ for change, each in zip(MISTAKES, refused, strict=True) if not each["errors"]]
    assert passed == []


def ask(parser: Path, *documents: Path) -> list[dict[str, Any]]:
    """Return what the parser says of each document."""
    command = ["node", "check.mjs", *map(str, documents)]
    done = subprocess.run(command, cwd=parser, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode in (0, 1), done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == (1 if any(each["errors"] for each in answers) else 0)
    return answers


def test_lock_file_pins_contents_and_names_no_registry() -> None:
    """Every package has a checksum, and it comes from whatever registry the machine is set up for."""
    lock = json.loads((CHECK / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert "node_modules/@asyncapi/parser" in packages
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_document_states_each_topic_with_its_messages_and_users(
    document: dict[str, Any], topic: Topic
) -> None:
    """Address, partitions, retention, types, who sends and who receives."""
    channel = document["channels"][topic.name]
    kafka = channel["bindings"]["kafka"]
    assert channel["address"] == kafka["topic"] == topic.name
    assert kafka["partitions"] == topic.partitions
    assert kafka["topicConfiguration"]["retention.ms"] == topic.retention_days * 24 * 3600 * 1000
    assert channel["messages"].keys() == topic.types
    users = {
        (operation["action"], operation["tags"][0]["name"])
        for operation in document["operations"].values()
        if operation["channel"]["$ref"] == f"#/channels/{topic.name}"
    }
    assert users == {("send", topic.owner)} | {("receive", reader) for reader in topic.readers}


def test_document_states_mode_key_and_content_type(document: dict[str, Any]) -> None:
    """What a stranger must know before the first byte is in the document itself."""
    description = document["info"]["description"]
    assert "CloudEvents 1.0 event in the *binary* mode" in description
    assert "key is `child_id` as lower-case text" in description
    assert document["defaultContentType"] == "application/json"
    for message in document["components"]["messages"].values():
        assert message["contentType"] == "application/json"
        assert "`child_id` as lower-case text" in message["bindings"]["kafka"]["key"]["description"]


def test_document_explains_message_ids_as_the_kernel_makes_them(document: dict[str, Any]) -> None:
    """A stranger can find the cause of an event by the recipe in the document."""
    properties = document["components"]["schemas"]["CommonHeaders"]["properties"]
    assert f"namespace {MESSAGE_IDS}." in properties["ce_causationid"]["description"]
    assert message_id("/partners/gp", "7") == uuid5(UUID(MESSAGE_IDS), "/partners/gp\n7")


def test_every_example_message_is_valid_by_the_document_alone(
    document: dict[str, Any], complaints: Complaints
) -> None:
    """Headers and payload validate against the schemas in the document, references followed.

    The reference parser does not look at the examples of an AsyncAPI 3 document, so this is the only check.
    """
    checked = 0
    for message in document["components"]["messages"].values():
        for sample in message["examples"]:
            for part in ("headers", "payload"):
                schema = message[part] | {"components": document["components"]}
                assert complaints(schema, sample[part]) == [], message["name"]
                checked += 1
    assert checked == 4 * len(document["components"]["messages"])


def test_message_schemas_refuse_a_missing_header_and_a_level_out_of_range(
    document: dict[str, Any], complaints: Complaints
) -> None:
    """The check above can fail, for headers as for payloads."""
    message = document["components"]["messages"]["referral.accepted.v1"]
    sample = message["examples"][0]
    headers = {name: value for name, value in sample["headers"].items() if name != "ce_id"}
    components = {"components": document["components"]}
    assert complaints(message["headers"] | components, headers) == ["$: 'ce_id' is a required property"]
    assert complaints(message["headers"] | components, sample["headers"] | {"ce_type": "other.v1"}) == [
        "$.ce_type: 'referral.accepted.v1' was expected"
    ]
    assert complaints(message["payload"] | components, sample["payload"] | {"indicated_level": 5}) == [
        "$.indicated_level: 5 is greater than the maximum of 4"
    ]
