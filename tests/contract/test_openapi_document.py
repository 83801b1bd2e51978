"""The OpenAPI document names things as people would, so that generated clients can be read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # has no types

from schemas.events import AlertRaised
from services.cli.catalogue import SERVICES, served
from services.kernel.base.settings import Settings
from services.kernel.web.site import create_site
from services.notify.api.alerts import ShownAlert


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of all services on one port; nothing of it needs a store."""
    settings = Settings(policy=Path("deploy/policies/cambridgeshire.yaml"))
    return create_site(settings, [served(name, settings) for name in SERVICES]).openapi()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    """Those of programs are the service and a verb."""
    ids = [each["operationId"] for each in operations(document)]
    assert len(set(ids)) == len(ids)
    for_programs = [each["operationId"] for each in operations(document) if "pages" not in each["tags"]]
    assert len(for_programs) > 30
    assert [each for each in for_programs if not re.fullmatch(r"[a-z]+(_[a-z]+)+", each)] == []


def test_a_problem_is_one_type(document: dict[str, Any]) -> None:
    """Named once, and meant wherever something goes wrong."""
    problem = document["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "detail"} == set(problem["required"])
    schemas = [
        kind["schema"]
        for each in operations(document)
        for answer in each["responses"].values()
        for name, kind in answer.get("content", {}).items()
        if name == "application/problem+json"
    ]
    assert len(schemas) > 100
    assert all(schema == {"$ref": "#/components/schemas/Problem"} for schema in schemas)


SCALARS = {"string", "integer", "number", "boolean", "null"}


def json_bodies(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the schema of each body that a program sends or is answered, and where it stands."""
    for each in operations(document):
        if "pages" in each["tags"]:
            continue
        answers = {"body": each.get("requestBody", {}), **each["responses"]}
        for name, answer in answers.items():
            for kind, content in answer.get("content", {}).items():
                if kind == "application/json":
                    yield f"{each['operationId']} {name}", content.get("schema", {})


def resolved(schema: Any, document: dict[str, Any]) -> Any:
    """Return what a schema refers to."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def untyped(where: str, schema: Any, document: dict[str, Any]) -> Iterator[str]:
    """Yield where a schema leaves open what there is: no type, no named fields, an open map."""
    found = resolved(schema, document)
    if choices := found.get("anyOf") or found.get("oneOf"):
        for choice in choices:
            yield from untyped(where, choice, document)
    elif found.get("type") == "array":
        yield from untyped(f"{where}[]", found.get("items", {}), document)
    elif found.get("type") == "object" and found.get("properties"):
        for name, field in found["properties"].items():
            yield from untyped(f"{where}.{name}", field, document)
    elif found.get("type") == "object" and isinstance(found.get("additionalProperties"), dict):
        yield from untyped(f"{where}{{}}", found["additionalProperties"], document)
    elif found.get("type") not in SCALARS and not {"const", "enum"} & found.keys():
        yield where


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "array", "items": {}},
        {"type": "object", "properties": {"deep": {"anyOf": [{"type": "null"}, {"type": "object"}]}}},
    ],
)
def test_a_schema_that_leaves_something_open_is_found(schema: dict[str, Any]) -> None:
    """The walk below would see it."""
    assert list(untyped("here", schema, {}))


def test_every_json_body_has_named_fields(document: dict[str, Any]) -> None:
    """At every depth, both ways; of a map by code the values have a type."""
    bodies = dict(json_bodies(document))
    assert len(bodies) > 50
    assert [place for name, schema in bodies.items() for place in untyped(name, schema, document)] == []
    for each in operations(document):
        if "pages" not in each["tags"]:
            (answered,) = (status for status in each["responses"] if status.startswith("2"))
            named = f"{each['operationId']} {answered}" in bodies
            assert named or answered == "204" or each["operationId"] == "operations_metrics"


def test_every_json_body_has_an_example(document: dict[str, Any]) -> None:
    """A list of something is shown by an example of one."""
    for name, schema in json_bodies(document):
        found = resolved(schema, document)
        assert resolved(found.get("items", found), document).get("examples"), name
    assert document["components"]["schemas"]["Problem"]["examples"]


def test_every_example_is_one(document: dict[str, Any]) -> None:
    """It fits its own schema, formats too, and shows every field that is there."""
    components = {"components": document["components"]}
    checker = Draft202012Validator.FORMAT_CHECKER
    schemas = [*document["components"]["schemas"].values(), *(schema for _, schema in json_bodies(document))]
    judged = 0
    for schema in schemas:
        for example in schema.get("examples", []):
            validator = Draft202012Validator(schema | components, format_checker=checker)
            assert [error.message for error in validator.iter_errors(example)] == []
            assert example.keys() <= schema["properties"].keys()
            judged += 1
    assert judged > 40


def test_an_alert_is_shown_with_all_that_its_event_says() -> None:
    """What `alert.raised` gains, the API shows."""
    assert ShownAlert.model_fields.keys() >= AlertRaised.model_fields.keys()
