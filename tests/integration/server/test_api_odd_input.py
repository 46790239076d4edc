"""Every operation of the description, with values that nobody should send: an answer in JSON, never our fault."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from support.server import Receiver, Tenant

TEXTS = ["%00", "a%00b", "%ff", "%ed%a0%80", "x" * 257, "%2e%2e", "-", "%F0%9F%98%80", "'%22;--", "msg_", "ep_%00", "*"]
NUMBERS = ["0", "-1", "251", "1e3", "99999999999999999999", "%00", ""]
TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "now", "-1", "99999999999999999999", "2026-01-01"]
WORDS = ["perhaps", "", "%00"]
QUERIES = {
    "limit": NUMBERS,
    "iterator": [*TEXTS, "-msg_x", "app_01h00000000000000000000000"],
    "order": WORDS,
    "event_types": [*TEXTS, "a.b,", ",".join(["a.b"] * 101)],
    "channel": TEXTS,
    "tag": TEXTS,
    "before": TIMES,
    "after": TIMES,
    "status": [*NUMBERS, "3"],
    "status_code_class": [*NUMBERS, "200", "600"],
    "endpoint_id": TEXTS,
    "with_content": WORDS,
    "with_msg": WORDS,
    "get_if_exists": WORDS,
}
ANYTHING = [*TEXTS, *NUMBERS, *TIMES, *WORDS]  # for parameters that came later
HUGE, DEEP = "1" + "0" * 400, "[" * 150 + "]" * 150
VALUES = [
    *("null", "1", "-1", HUGE, "1.5", "true", '""', '"\\u0000"', '"\\ud800"', '"' + "x" * 5_000 + '"', "[]", "[1]"),
    *('["\\u0000"]', "{}", '{"\\u0000":"\\u0000"}', '{"a":' + HUGE + "}", '{"a":{"b":null}}', '{"a":1}', DEEP),
    '{"mode":"\\u0000"}',
]


class Prober:
    """One application's owner, who sends anything at all."""

    def __init__(self, tenant: Tenant, receiver: Receiver) -> None:
        self.http = tenant.http
        self.server = tenant.server
        app_id = self.http.post("/app", json={"name": "App", "uid": "app"}).json()["id"]
        made = self.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x", "uid": "ep"})
        sent = self.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}, "eventId": "evt"})
        self.ids = {"app_id": app_id, "endpoint_id": made.json()["id"], "msg_id": sent.json()["id"], "attempt_id": "-"}
        self.description = httpx2.get(f"{self.server.url}/openapi.json").json()

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (method, path.removeprefix("/api/v1"), operation)
            for path, operations in self.description["paths"].items()
            for method, operation in operations.items()
            if path.startswith("/api/v1/app")
        ]

    def fill(self, path: str, **changed: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: (self.ids | changed)[match[1]], path)

    def members(self, operation: dict[str, Any]) -> list[str]:
        """The members of the body that an operation takes."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in content:
            content = self.description["components"]["schemas"][content["$ref"].rpartition("/")[2]]
        return list(content.get("properties", {}))

    def send(self, method: str, path: str, body: str | None = None) -> httpx2.Response:
        answer = self.http.request(method, path, content=body)
        assert answer.status_code < 500, (method, path, body, answer.text)
        if answer.status_code == 422:
            assert all(problem.keys() >= {"loc", "msg", "type"} for problem in answer.json()["detail"]), answer.text
        elif answer.status_code >= 400:
            assert answer.json().keys() == {"code", "detail"}, answer.text
        return answer


@pytest.fixture
def prober(tenant: Tenant, receiver: Receiver) -> Prober:
    return Prober(tenant, receiver)


def test_odd_paths(prober: Prober) -> None:
    for method, path, operation in prober.operations():
        names = re.findall(r"\{(\w+)\}", path)
        body = "{}" if operation.get("requestBody") else None
        for name in names:
            for text in TEXTS if method == "get" else TEXTS[:3]:
                assert prober.send(method, prober.fill(path, **{name: text}), body).status_code >= 400


def test_odd_queries(prober: Prober) -> None:
    for method, path, operation in prober.operations():
        if method != "get":
            continue
        named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        for name in named | ({"event_types"} if "channel" in named else set()):
            for text in QUERIES.get(name, ANYTHING)[:: 1 if path.endswith("/msg") else 3]:
                prober.send(method, f"{prober.fill(path)}?{name}={text}")


def test_odd_bodies(prober: Prober) -> None:
    required = {"url": '"https://example.com/x"', "name": '"n"', "eventType": '"a.b"', "payload": "{}", "headers": "{}"}
    for method, path, operation in prober.operations():
        members = prober.members(operation)
        if method == "delete" or not members:
            continue
        for number, name in enumerate(members):  # each value meets many members, each member some values
            for value in VALUES[number % 4 :: 4] + VALUES[-1:]:
                stated = {**{key: text for key, text in required.items() if key in members}, name: value}
                body = "{" + ",".join(f'"{key}":{text}' for key, text in stated.items()) + "}"
                target = prober.fill(path, app_id="fresh-app") if path == "/app/{app_id}" else prober.fill(path)
                prober.send(method, target, body)


def test_answers_have_the_members_that_the_description_promises(prober: Prober) -> None:
    schemas = prober.description["components"]["schemas"]
    checked = 0
    for method, path, operation in prober.operations():
        if method != "get" or "attempt_id" in path:
            continue
        answer = prober.send(method, prober.fill(path))
        assert answer.status_code == 200, path
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        content = answer.json()
        assert set(schema.get("required", ())) <= content.keys() <= schema["properties"].keys(), path
        checked += 1
    assert checked >= 8
