"""A published version of an event keeps its promise for ever."""

import json
from pathlib import Path

import pytest

from schemas import publish


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A directory in which the current schemas were just published."""
    assert publish.publish(tmp_path) == []
    return tmp_path


def test_models_break_no_published_version() -> None:
    """If this fails, leave the old class as it is and add a new one with the next version."""
    assert publish.broken_promises(publish.frozen_schemas(), publish.current_schemas()) == []


def test_published_schemas_were_not_edited_by_hand() -> None:
    """`schemas/published/` changes through `python -m schemas.publish` alone."""
    assert publish.frozen_schemas(), "nothing has been published, so nothing is protected"
    assert not publish.altered_by_hand()


def test_publishing_twice_changes_nothing(released: Path) -> None:
    """A release without changes leaves the frozen files byte for byte."""
    before = {path.name: path.read_bytes() for path in released.iterdir()}
    assert publish.publish(released) == []
    assert {path.name: path.read_bytes() for path in released.iterdir()} == before


def test_removed_field_cannot_be_published(released: Path) -> None:
    """The frozen version has a field that the model lacks: the release is refused and nothing written."""
    frozen = released / "referral.closed.v1.schema.json"
    schema = json.loads(frozen.read_text())
    schema["properties"]["closed_by"] = {"type": "string"}
    frozen.write_text(json.dumps(schema))
    (released / publish.SUMS).write_text(publish.sums(released))
    before = frozen.read_bytes()

    assert publish.publish(released) == ["referral.closed.v1.schema.json: $.closed_by: the field was removed"]
    assert frozen.read_bytes() == before


def test_removed_event_cannot_be_published(released: Path) -> None:
    """Its events are still in journals."""
    (released / "referral.lost.v1.schema.json").write_text("{}")
    (released / publish.SUMS).write_text(publish.sums(released))
    assert publish.publish(released) == ["referral.lost.v1.schema.json: a published version was removed"]


def test_new_optional_field_is_frozen_with_the_next_release(released: Path) -> None:
    """Once released, the new field is part of the promise."""
    frozen = released / "referral.received.v1.schema.json"
    now = frozen.read_bytes()
    schema = json.loads(now)
    del schema["properties"]["family_id"]
    frozen.write_text(json.dumps(schema))
    (released / publish.SUMS).write_text(publish.sums(released))

    assert publish.publish(released) == []
    assert frozen.read_bytes() == now


@pytest.mark.parametrize("how", ["edited", "removed", "added"])
def test_frozen_file_changed_by_hand_is_noticed(released: Path, how: str) -> None:
    """The past cannot be made to fit the present unnoticed."""
    frozen = released / "referral.closed.v1.schema.json"
    if how == "edited":
        frozen.write_text(frozen.read_text().replace('"decided_by"', '"closed_by"'))
    elif how == "removed":
        frozen.unlink()
    else:
        (released / "referral.lost.v1.schema.json").write_text("{}")
    assert publish.altered_by_hand(released)
    assert publish.publish(released) != []
