"""`schemas/json/` and `schemas/asyncapi.yaml` say what the models say."""

import json
from pathlib import Path

import pytest

from schemas import generate
from schemas.events.base import REGISTRY, dataschema_uri
from schemas.json_schema import file_name


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with everything freshly generated."""
    generate.write(tmp_path)
    return tmp_path


def test_committed_documents_are_what_the_models_generate() -> None:
    """Whoever changes a model runs `python -m schemas.generate` and commits the result."""
    assert generate.drift() == []


def test_check_passes_on_the_committed_documents(capsys: pytest.CaptureFixture[str]) -> None:
    """CI runs this; it is silent when all is well."""
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_each_file_that_drifted(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An edited, a missing and a left-over file are named, nothing is repaired, the exit code is 1."""
    (directory / "json/referral.accepted.v1.schema.json").write_text("{}")
    (directory / "json/referral.closed.v1.schema.json").unlink()
    (directory / "json/referral.forgotten.v1.schema.json").write_text("{}")
    monkeypatch.setattr(generate.drift, "__defaults__", (directory,))

    assert generate.main(["--check"]) == 1

    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == [
        "schemas/json/referral.closed.v1.schema.json: missing",
        "schemas/json/referral.forgotten.v1.schema.json: belongs to no event",
        "schemas/json/referral.accepted.v1.schema.json: differs from the models",
    ]
    assert (directory / "json/referral.accepted.v1.schema.json").read_text() == "{}"


def test_writing_repairs_every_drift(directory: Path) -> None:
    """Writing changes what differs, removes what is left over, and then there is nothing to do."""
    (directory / "asyncapi.yaml").write_text("asyncapi: 3.1.0\n")
    (directory / "json/referral.forgotten.v1.schema.json").write_text("{}")
    assert len(generate.write(directory)) == 2
    assert generate.drift(directory) == []
    assert generate.write(directory) == []


def test_every_event_version_has_a_file_whose_id_is_its_dataschema(directory: Path) -> None:
    """The `dataschema` in the envelope leads to the schema file."""
    for event_class in REGISTRY.values():
        schema = json.loads((directory / "json" / file_name(event_class)).read_text())
        assert schema["$id"] == dataschema_uri(event_class)
        assert schema["$id"].endswith("/" + file_name(event_class))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["description"], f"{event_class.__name__} does not say what it means"
