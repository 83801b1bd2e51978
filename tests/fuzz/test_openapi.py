"""Every HTTP API against its own OpenAPI document: schemathesis makes calls of it and judges the answers."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any
from unittest import SkipTest

import httpx
import pytest
from hypothesis import given
from hypothesis.errors import Unsatisfiable
from prometheus_client import start_http_server
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.cli.catalogue import SERVICES, served
from services.kernel.base import garbage
from services.kernel.base.settings import Settings
from services.kernel.web.site import create_site
from tests.fuzz.effort import effort
from tests.fuzz.test_http import Site, site

pytestmark = pytest.mark.connected

__all__ = ["site"]

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
OPERATIONS = "operations"
"""The tag of what belongs to no service: health, metrics, status."""


@dataclass(frozen=True)
class Documented:
    """The web process as it is deployed, its document, and ids that exist, by the name of their parameter."""

    http: httpx.AsyncClient
    document: Mapping[str, Any]
    known: Mapping[str, Sequence[str]]
    operations: Sequence[Any]
    """What schemathesis makes of them."""


@pytest.fixture
async def documented(site: Site, engines: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Documented]:
    """All services on one port, with something in every store."""
    monkeypatch.setattr(garbage, "look_less_often", lambda: None)  # this process has more to do than serve
    settings = Settings(database=engines.database_url, kafka=engines.kafka)
    app = create_site(settings, [served(name, settings) for name in SERVICES])
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        document = app.openapi()
        found = openapi.from_dict(dict(document)).get_all_operations()
        operations = [one.ok() for one in found if isinstance(one, Ok)]
        yield Documented(http, document, site.known, operations)


async def test_every_answer_is_one_that_the_document_speaks_of(documented: Documented) -> None:
    """Status, kind of content and schema, for calls as they should be and as they should not."""
    wrong: dict[str, str] = {}
    judged = 0
    for operation, mode in product(documented.operations, GenerationMode):
        for case in cases(operation, mode):
            for number, name in enumerate(case.path_parameters or ()):
                if known := documented.known.get(name):  # else nearly every call would speak of nothing
                    case.path_parameters[name] = known[number % len(known)]
            answer = await send(documented.http, case)
            judged += 1
            try:
                case.validate_response(answer, checks=list(CHECKS))
            except FailureGroup as failures:
                told = "; ".join(failure.title for failure in failures.exceptions)
                wrong[f"{operation.label}: {answer.status_code}, {told}"] = answer.text[:200]
    assert not wrong
    assert judged > 10 * len(documented.operations)


def cases(operation: Any, mode: GenerationMode) -> list[Case[Any]]:
    """Return calls of an operation that schemathesis thinks of; none where it knows none of this kind."""
    made: list[Case[Any]] = []

    @effort(15)
    @given(case=operation.as_strategy(generation_mode=mode))
    def make(case: Case[Any]) -> None:
        made.append(case)

    with suppress(Unsatisfiable, SkipTest):
        make()
    return made


async def send(http: httpx.AsyncClient, case: Case[Any]) -> httpx.Response:
    """Make the call of a case."""
    arguments = case.as_transport_kwargs(base_url=str(http.base_url))
    arguments.pop("cookies", None)  # no operation has any
    if isinstance(arguments.get("data"), str | bytes):
        arguments["content"] = arguments.pop("data")  # as httpx calls it
    return await http.request(**arguments)


async def test_the_document_names_a_problem_for_every_mistake(documented: Documented) -> None:
    """A partner's generated client knows what it may get: no route is without its problems."""
    for path, methods in documented.document["paths"].items():
        for method, described in methods.items():
            answers = described["responses"]
            is_page = "pages" in described["tags"]
            if OPERATIONS not in described["tags"]:
                assert {"422", "503"} <= answers.keys(), (method, path)
            if "{" in path and "401" not in answers:  # who has no key is not told what there is
                assert "404" in answers, (method, path)
            if described.get("requestBody"):
                assert {"400", "409"} <= answers.keys(), (method, path)
            for status, answer in answers.items():
                if re.fullmatch("4..|503", status):
                    kind = "text/html" if is_page else "application/problem+json"
                    assert set(answer["content"]) == {kind}, (method, path, status)


def test_a_worker_answers_with_its_metrics_or_a_refusal() -> None:
    """What a worker listens on has nothing else to give."""
    server, thread = start_http_server(0, addr="127.0.0.1")
    targets = ("/", "/metrics", "/health", "/status", "/%ff", "/metrics?name[]=x", "/" + "x" * 5000)
    try:
        for method, target in product(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"), targets):
            answer = httpx.request(method, f"http://127.0.0.1:{server.server_port}{target}")
            assert answer.status_code in {200, 405}, (method, target)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
