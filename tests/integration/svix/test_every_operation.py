"""Every operation of the description is driven, with the body that its example shows, and answers as described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from hookline.server.app import create_app
from hookline.server.runtime import Runtime
from support.holdings import DESCRIPTION, Described, Holding, describe_operations
from support.server import Receiver, RunningServer, Tenant, settings_for

OPERATIONS = describe_operations()
# What ends, empties or changes something for all is done to what is made for it; the rest to what is shared.
ENDS = frozenset(
    {
        "v1.alert-rule.delete",
        "v1.application.delete",
        "v1.endpoint.delete",
        "v1.event-type.delete",
        "v1.event-type.update",
        "v1.message.expunge-content",
        "v1.message.bulk-expunge-content",
        "v1.message.expunge-all-contents",
        "v1.message-attempt.expunge-content",
        "v1.operational-webhook.endpoint.delete",
        "v1.settings.patch",
    }
)


@pytest.fixture(scope="module")
def holding(server: RunningServer) -> Iterator[Holding]:
    with Receiver() as receiver:
        tenant = Tenant(server)
        yield Holding(tenant, receiver, "shared")
        tenant.close()


@pytest.fixture
def own(server: RunningServer) -> Iterator[Holding]:
    with Receiver() as receiver:
        tenant = Tenant(server)
        yield Holding(tenant, receiver, "own")
        tenant.close()


def drive(holding: Holding, operation: Described) -> httpx2.Response:
    client = holding.tenant.http
    if operation.id == "v1.authentication.logout":
        client = holding.tenant.http_with(holding.tenant.app_token(holding.app_id))
    path = operation.path.format(**{name: holding.of(operation, name)[0] for name in operation.names})
    return client.request(operation.method, path, json=holding.fitting(operation))


def check(operation: Described, answer: httpx2.Response) -> None:
    """Raises AssertionError when the answer is none that the description has."""
    described = operation.content["responses"].get(str(answer.status_code))
    assert described is not None, (operation.id, answer.status_code, answer.text)
    if "$ref" in described:
        described = DESCRIPTION["components"]["responses"][described["$ref"].rpartition("/")[2]]
    media = described.get("content", {}).get("application/json")
    if media is None:
        assert answer.content == b"", operation.id
        return
    schema = {**media.get("schema", {}), "components": DESCRIPTION["components"]}
    problems = [str(error) for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json())]
    assert problems == [], operation.id


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.id not in ENDS], ids=lambda one: one.id)
def test_it_works(holding: Holding, operation: Described) -> None:
    """If this names an operation of yours: its example has to work; `support/holdings.py` has what it may name."""
    answer = drive(holding, operation)
    assert answer.status_code < 300, answer.text
    check(operation, answer)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.id in ENDS], ids=lambda one: one.id)
def test_it_ends_something(own: Holding, operation: Described) -> None:
    answer = drive(own, operation)
    assert answer.status_code < 300, answer.text
    check(operation, answer)


def test_what_ends_something_is_known() -> None:
    assert {one.id for one in OPERATIONS} >= ENDS
    assert {one.id for one in OPERATIONS if one.method == "delete"} <= ENDS


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.names], ids=lambda one: one.id)
def test_what_names_nothing_is_answered_as_described(holding: Holding, operation: Described) -> None:
    path = operation.path.format(**dict.fromkeys(operation.names, "nothing-of-this-name"))
    answer = holding.tenant.http.request(operation.method, path, json=holding.fitting(operation))
    check(operation, answer)
    check(operation, httpx2.request(operation.method, f"{holding.tenant.server.url}/api/v1{path}", json={}))


OTHER_SURFACES = ("/v1/", "/openai/")  # whose vendors describe them


async def test_no_route_exists_outside_of_it(tmp_path: Any) -> None:
    described = {(method.upper(), path) for path, operations in DESCRIPTION["paths"].items() for method in operations}
    runtime = Runtime(settings_for(tmp_path, docs_enabled=False, metrics_enabled=False))
    routes = {
        (method, context.path_format)
        for context in iter_route_contexts(create_app(runtime).routes)
        if isinstance(context.original_route, Route) and not str(context.path_format).startswith(OTHER_SURFACES)
        for method in context.methods or ()
    }
    assert {(method, path) for method, path in routes if method != "HEAD"} == described
    assert {path for method, path in routes if method == "HEAD"} <= {path for method, path in described}
