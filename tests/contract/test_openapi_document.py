"""The OpenAPI document names things as people would, so that generated clients can be read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.cli.catalogue import SERVICES, served
from services.kernel.base.settings import Settings
from services.kernel.web.site import create_site


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
