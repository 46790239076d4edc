"""Bodies that nobody should send, to every operation that takes one: refused with the place of the fault, never a fault
of ours. Members and their types come from the description, so what is added to the API is tried by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.holdings import DESCRIPTION, Described, Holding, describe_operations
from support.server import Receiver, RunningServer, Tenant

OPERATIONS = [operation for operation in describe_operations() if operation.body is not None]
MANY = 10_000
#: what is refused before a database is asked need not be tried on each
ONE_DATABASE = pytest.mark.parametrize("server", ["sqlite"], indirect=True, scope="session")
#: members whose content is the caller's own, within the bounds of a body; and one that is only read when it is needed
FREE = frozenset(
    {
        ("v1.message.create", "payload"),
        ("v1.message.create", "application"),
        ("v1.endpoint.send-example", "payload"),
    }
)
#: names that may not exist, and are then answered so, each for itself
LOOKED_UP = frozenset({("v1.message.bulk-expunge-content", "ids")})
#: two names of one thing: the newer one wins, so the older is only tried alone
PAIRS = {
    "filterTypes": "eventTypes",
    "featureFlag": "featureFlags",
    "rateLimit": "throttleRate",
    "specRaw": "spec",
    "spec": "specRaw",
    "eventTypes": "filterTypes",
}


@pytest.fixture(scope="module")
def holding(server: RunningServer) -> Iterator[Holding]:
    with Receiver() as receiver:
        tenant = Tenant(server)
        yield Holding(tenant, receiver, "shared")
        tenant.close()


class Sender:
    """Sends bodies to one operation, and judges the answers."""

    def __init__(self, holding: Holding, operation: Described) -> None:
        self.holding = holding
        self.operation = operation
        self.good: dict[str, Any] = holding.fitting(operation)
        self._path = operation.path.format(**{name: holding.of(operation, name)[0] for name in operation.names})

    def send(self, text: str | bytes) -> httpx2.Response:
        answer = self.holding.tenant.http.request(self.operation.method, self._path, content=text)
        assert answer.status_code < 500, (text[:200], answer.text)
        return answer

    def refuse(self, text: str | bytes, member: str | None = None) -> None:
        """Raises AssertionError when it is accepted, or refused without saying where."""
        answer = self.send(text)
        assert answer.status_code == 422, (text[:200], answer.text[:500])
        self.point(answer, member)

    def point(self, answer: httpx2.Response, member: str | None) -> None:
        problems = answer.json()["detail"]
        assert 1 <= len(problems) <= 1_000
        assert len(answer.content) < 200_000
        for problem in problems:
            assert problem["loc"][0] == "body", problem
        if member is not None:
            places = [[member], [PAIRS.get(member)]]
            assert any(problem["loc"][1:2] in places for problem in problems), (member, problems[:3])

    def members(self) -> dict[str, dict[str, Any]]:
        """The members of the body with their schemas, one of the types each if there are several."""
        media = self.operation.content["requestBody"]["content"]["application/json"]
        return {name: _plain(schema) for name, schema in _resolve(media["schema"]).get("properties", {}).items()}

    def with_member(self, name: str, text: str) -> str:
        """The good body, with this JSON text as one of its members."""
        rest = {key: value for key, value in self.good.items() if key not in {name, PAIRS.get(name)}}
        return (
            "{" + ",".join([*(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in rest.items()), f'"{name}":{text}']) + "}"
        )


def _resolve(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    schema = _resolve(schema)
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null":
            return _plain(part)
    return schema


def _sample(schema: dict[str, Any]) -> Any:
    """Something of the member's type: what is null could be taken for absent."""
    by_type = {"array": ["x"], "object": {}, "integer": 1, "number": 1.5, "boolean": True}
    is_time = schema.get("format") == "date-time"
    return "2026-01-01T00:00:00Z" if is_time else by_type.get(schema.get("type", ""), "x")


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.id)
def sender(holding: Holding, request: pytest.FixtureRequest) -> Sender:
    return Sender(holding, request.param)


def test_no_json_at_all(sender: Sender) -> None:
    for text in (b"{", b"\xff\xfe", b'{"a":NaN}', b"[]", b'"text"', b"1", b"null", b"\x00", b"{}{}", b"\xef\xbb\xbf{}"):
        sender.refuse(text)


@ONE_DATABASE
def test_more_than_is_read(sender: Sender) -> None:
    size = sender.holding.tenant.server.runtime.max_body_bytes + 1
    answer = sender.send(b'{"x":"' + b"x" * size)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@ONE_DATABASE
@pytest.mark.parametrize("depth", [1_100, 100_000])
def test_nesting(sender: Sender, depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deep = opening * depth + "1" + closing * depth
        sender.refuse(deep)
        for name in sender.members():
            sender.refuse(sender.with_member(name, deep))


def test_members_that_are_there_twice(sender: Sender) -> None:
    for name, schema in sender.members().items():
        value = json.dumps(sender.good.get(name, _sample(schema)))
        text = sender.with_member(name, value)
        sender.refuse(f'{text[:-1]},"{name}":{value}}}', name)


def test_half_surrogates(sender: Sender) -> None:
    for name in sender.members():
        for text in ('"\\ud800"', '["\\udfff"]', '{"\\ud800":"x"}', '{"a":"\\ud800"}'):
            sender.refuse(sender.with_member(name, text))


def test_nul(sender: Sender) -> None:
    for name, schema in sender.members().items():
        if (sender.operation.id, name) in FREE | LOOKED_UP:
            continue
        match schema.get("type"):
            case "string":
                sender.refuse(sender.with_member(name, '"a\\u0000b"'), name)
            case "array":
                sender.refuse(sender.with_member(name, '["a\\u0000b"]'), name)
            case "object":
                for text in ('{"a\\u0000b":"x"}', '{"x":"a\\u0000b"}'):
                    answer = sender.send(sender.with_member(name, text))
                    # JSON Schemas and the like are kept as JSON, where it is an escape like any other.
                    assert answer.status_code < 300 or answer.json()["detail"][0]["loc"][1] == name, answer.text
            case _:
                sender.refuse(sender.with_member(name, '"\\u0000"'), name)


@ONE_DATABASE
@pytest.mark.parametrize("element", ["same", "other"])
def test_ten_thousand_elements(sender: Sender, element: str) -> None:
    texts = ["a.b"] * MANY if element == "same" else [f"name{number}.x" for number in range(MANY)]
    for name, schema in sender.members().items():
        if (sender.operation.id, name) in FREE:
            continue
        kind = schema.get("type")
        sender.refuse(sender.with_member(name, json.dumps(texts)), name)
        if kind == "array" and schema.get("items", {}).get("type") in {"number", "integer"}:
            sender.refuse(sender.with_member(name, json.dumps([1] * MANY)), name)
        if kind == "object" and "properties" not in schema:  # else unknown members are ignored, as everywhere
            sender.refuse(
                sender.with_member(name, json.dumps(dict.fromkeys(texts, "x") | {f"k{i}": "x" for i in range(MANY)})),
                name,
            )


@ONE_DATABASE
def test_huge_numbers_and_texts(sender: Sender) -> None:
    for name, schema in sender.members().items():
        if (sender.operation.id, name) in FREE | LOOKED_UP:
            continue
        for text in ("-1" + "0" * 30, json.dumps("x" * 300_000)):
            sender.refuse(sender.with_member(name, text), name)
        for text in ("1" + "0" * 400, "1e400"):  # no JSON parser of ours has such a number
            sender.refuse(sender.with_member(name, text))
        if schema.get("type") == "array":
            sender.refuse(sender.with_member(name, json.dumps(["x" * 300_000])), name)
