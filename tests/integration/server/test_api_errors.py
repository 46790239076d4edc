"""Whatever comes in, what goes out is JSON in the shape that clients parse, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from support.server import Tenant

URL = "http://127.0.0.1:59999/hook"


def create(tenant: Tenant, **fields: Any) -> str:
    answer = tenant.http.post("/app", json={"name": "App", **fields})
    assert answer.status_code == 201
    identifier: str = answer.json()["id"]
    return identifier


def problems(answer: httpx2.Response) -> list[list[Any]]:
    """The locations of a 422, whose shape is checked in passing."""
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    for problem in detail:
        assert set(problem) == {"loc", "msg", "type"}
        assert isinstance(problem["msg"], str)
    return [problem["loc"] for problem in detail]


@pytest.mark.parametrize(
    ("body", "locations"),
    [
        ({}, [["body", "name"]]),
        ({"name": ""}, [["body", "name"]]),
        ({"name": 5}, [["body", "name"]]),
        ({"name": "x" * 257}, [["body", "name"]]),
        ({"name": "a\x00b"}, [["body", "name"]]),
        ({"name": "a", "uid": ""}, [["body", "uid"]]),
        ({"name": "a", "uid": "app_mine"}, [["body", "uid"]]),
        ({"name": "a", "uid": "with space"}, [["body", "uid"]]),
        ({"name": "a", "uid": "é"}, [["body", "uid"]]),
        ({"name": "a", "uid": "x" * 257}, [["body", "uid"]]),
        ({"name": "a", "uid": "line\n"}, [["body", "uid"]]),
        ({"name": "a", "throttleRate": 0}, [["body", "throttleRate"]]),
        ({"name": "a", "throttleRate": "5"}, [["body", "throttleRate"]]),
        ({"name": "a", "metadata": {"k": 1}}, [["body", "metadata", "k"]]),
        ({"name": "a", "metadata": {"k": "x" * 5000}}, [["body", "metadata"]]),
        (
            {"name": "", "uid": "app_x", "throttleRate": 0},
            [["body", "name"], ["body", "uid"], ["body", "throttleRate"]],
        ),
        ([], [["body"]]),
        ("text", [["body"]]),
        (None, [["body"]]),
    ],
)
def test_bad_applications(tenant: Tenant, body: Any, locations: list[list[Any]]) -> None:
    assert problems(tenant.http.post("/app", json=body)) == locations
    assert tenant.http.get("/app").json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "locations"),
    [
        ({"url": None}, [["body", "url"]]),
        ({"url": ""}, [["body", "url"]]),
        ({"url": "nonsense"}, [["body", "url"]]),
        ({"url": "https://user:pass@example.com/"}, [["body", "url"]]),
        ({"url": "http://example.com\\@127.0.0.1/"}, [["body", "url"]]),
        ({"url": "https://10.0.0.1/"}, [["body", "url"]]),
        ({"url": "https://169.254.169.254/latest"}, [["body", "url"]]),
        ({"url": "https://example.com:22/"}, [["body", "url"]]),
        ({"eventTypes": []}, [["body", "eventTypes"]]),
        ({"filterTypes": []}, [["body", "eventTypes"]]),
        ({"eventTypes": ["ok", "not ok"]}, [["body", "eventTypes", 1]]),
        ({"eventTypes": ["a.*.b"]}, [["body", "eventTypes", 0]]),
        ({"eventTypes": "a.b"}, [["body", "eventTypes"]]),
        ({"channels": []}, [["body", "channels"]]),
        ({"channels": [f"c{number}" for number in range(11)]}, [["body", "channels"]]),
        ({"channels": ["a b"]}, [["body", "channels", 0]]),
        ({"uid": "ep_mine"}, [["body", "uid"]]),
        ({"throttleRate": -1}, [["body", "throttleRate"]]),
        ({"version": 0}, [["body", "version"]]),
        ({"description": "x" * 5000}, [["body", "description"]]),
        ({"disabled": "yes"}, [["body", "disabled"]]),
        ({"secret": "short"}, [["body", "secret"]]),
        ({"secret": "whsec_!!!"}, [["body", "secret"]]),
        ({"secret": "whpk_" + "A" * 43 + "="}, [["body", "secret"]]),
        ({"headers": {"Host": "evil"}}, [["body", "headers"]]),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, [["body", "headers"]]),
        ({"headers": {"webhook-id": "x"}}, [["body", "headers"]]),
        ({"dialect": "klingon"}, [["body", "dialect"]]),
        ({"dialect": "plain", "options": {"method": "GET"}}, [["body", "options", "method"]]),
        ({"options": {"unknown": 1}}, [["body", "options", "unknown"]]),
        ({"policy": {"scheduleS": [-1]}}, [["body", "policy", "scheduleS", 0]]),
        ({"policy": {"scheduleS": [1] * 101}}, [["body", "policy", "scheduleS"]]),
        ({"policy": {"timeoutS": 0}}, [["body", "policy", "timeoutS"]]),
        ({"policy": {"jitter": 2}}, [["body", "policy", "jitter"]]),
        ({"metadata": None, "paused": 1}, [["body", "paused"]]),
    ],
)
def test_bad_endpoints(tenant: Tenant, fields: dict[str, Any], locations: list[list[Any]]) -> None:
    app_id = create(tenant)
    assert problems(tenant.http.post(f"/app/{app_id}/endpoint", json={"url": URL, **fields})) == locations
    assert tenant.http.get(f"/app/{app_id}/endpoint").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("endpoint", {"url": URL, "eventTypes": [1] * 5_000}),
        ("endpoint", {"url": URL, "eventTypes": [""] * 5_000}),
        ("msg", {"eventType": "a", "payload": {}, "channels": [""] * 5_000}),
    ],
)
def test_of_very_many_problems_the_first_are_said(tenant: Tenant, path: str, body: dict[str, Any]) -> None:
    answer = tenant.http.post(f"/app/{create(tenant)}/{path}", json=body)
    assert len(problems(answer)) == 100
    assert len(answer.content) < 25_000


def test_no_error_repeats_a_secret(tenant: Tenant) -> None:
    app_id = create(tenant)
    secret = "whsec_" + "c2VjcmV0" * 3 + "!"
    answer = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": URL, "secret": secret})
    assert answer.status_code == 422
    assert "c2VjcmV0" not in answer.text


@pytest.mark.parametrize(
    ("body", "locations"),
    [
        ({"payload": {}}, [["body", "eventType"]]),
        ({"eventType": "a.b"}, [["body", "payload"]]),
        ({"eventType": "", "payload": {}}, [["body", "eventType"]]),
        ({"eventType": "a b", "payload": {}}, [["body", "eventType"]]),
        ({"eventType": "a\n", "payload": {}}, [["body", "eventType"]]),
        ({"eventType": "é", "payload": {}}, [["body", "eventType"]]),
        ({"eventType": "x" * 257, "payload": {}}, [["body", "eventType"]]),
        ({"eventType": 5, "payload": {}}, [["body", "eventType"]]),
        ({"eventType": "a.b", "payload": []}, [["body", "payload"]]),
        ({"eventType": "a.b", "payload": "text"}, [["body", "payload"]]),
        ({"eventType": "a.b", "payload": None}, [["body", "payload"]]),
        ({"eventType": "a.b", "payload": {}, "eventId": "msg_1"}, [["body", "eventId"]]),
        ({"eventType": "a.b", "payload": {}, "eventId": "a b"}, [["body", "eventId"]]),
        ({"eventType": "a.b", "payload": {}, "eventId": 7}, [["body", "eventId"]]),
        ({"eventType": "a.b", "payload": {}, "channels": []}, [["body", "channels"]]),
        ({"eventType": "a.b", "payload": {}, "channels": list("abcdef")}, [["body", "channels"]]),
        ({"eventType": "a.b", "payload": {}, "channels": ["a b"]}, [["body", "channels", 0]]),
        ({"eventType": "a.b", "payload": {}, "channels": [1]}, [["body", "channels", 0]]),
        ({"eventType": "a.b", "payload": {}, "channels": "eu"}, [["body", "channels"]]),
        ({"eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 0}, [["body", "payloadRetentionPeriod"]]),
        ({"eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 91}, [["body", "payloadRetentionPeriod"]]),
        ({"eventType": "a.b", "payload": {}, "deliverAt": "2099-01-01T00:00:00Z"}, [["body", "deliverAt"]]),
        ({"eventType": "a.b", "payload": {}, "deliverAt": "tomorrow"}, [["body", "deliverAt"]]),
        ({"eventType": "a.b", "payload": {}, "tags": list("abcdef")}, [["body", "tags"]]),
        ({"eventType": "a.b", "payload": {}, "tags": ["good", ""]}, [["body", "tags", 1]]),
        (
            {"eventType": "a.b", "payload": {}, "payloadRetentionHours": 24, "payloadRetentionPeriod": 1},
            [["body", "payloadRetentionHours"]],
        ),
        (
            {"eventType": "a b", "payload": 1, "channels": []},
            [["body", "eventType"], ["body", "payload"], ["body", "channels"]],
        ),
        ([], [["body"]]),
        (None, [["body"]]),
    ],
)
def test_bad_messages(tenant: Tenant, body: Any, locations: list[list[Any]]) -> None:
    app_id = create(tenant)
    assert problems(tenant.http.post(f"/app/{app_id}/msg", json=body)) == locations
    assert tenant.http.get(f"/app/{app_id}/msg").json()["data"] == []


HOSTILE_BODIES = [
    b"",
    b"{",
    b"nonsense",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"name": "a", "name": "b", "eventType": "a.b", "eventType": "c.d", "payload": {}}',
    b'{"name": "a", "metadata": {"k": "1", "k": "2"}, "payload": {}, "payload": {}, "eventType": "a.b"}',
    b'{"name": NaN, "eventType": "a.b", "payload": {"n": NaN}}',
    b'{"name": "a", "throttleRate": Infinity, "eventType": "a.b", "payload": {"n": -Infinity}}',
    b'{"name": "\\ud800", "eventType": "a.b", "payload": {"s": "\\ud800"}}',
    b'{"name": "a", "uid": "\\udfff", "eventType": "\\udfff", "payload": {}}',
    b'{"name": "a\xff", "eventType": "a.b", "payload": {"s": "\xff"}}',
    b'{"name": "a", "eventType": "a.b", "payload": {"x": %b}}' % (b"[" * 5_000 + b"]" * 5_000),
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"name": "a", "throttleRate": 1e999, "eventType": "a.b", "payload": {,}}',
    b'{"name": "a", "throttleRate": 99999999999999999999999, "eventType": "a.b", "payload": {}, "channels": 1}',
    b'{"name": 1, "eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 99999999999999999999}',
    b'{"name": ["a"], "eventType": ["a"], "payload": {}}',
    b"'{\"name\": 1}'",
    b"name=a&eventType=b",
    b"null",
    b"\x00" * 100,
]


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=range(len(HOSTILE_BODIES)))
@pytest.mark.parametrize("path", ["/app", "/app/{app}", "/app/{app}/endpoint", "/app/{app}/msg"])
def test_hostile_bodies_are_refused_as_json(tenant: Tenant, body: bytes, path: str) -> None:
    path = path.replace("{app}", create(tenant))
    method = "PATCH" if path.count("/") == 2 else "POST"
    for content_type in ("application/json", "text/plain", None):
        headers = {} if content_type is None else {"content-type": content_type}
        answer = tenant.http.request(method, path, content=body, headers=headers)
        assert problems(answer), (path, body[:50])


def test_a_repeated_member_inside_of_a_payload_passes_as_it_is(tenant: Tenant) -> None:
    app_id = create(tenant)
    payload = b'{"a": 1, "a": 2, "payload": {"payload": 1}, "eventType": 0}'
    answer = tenant.http.post(f"/app/{app_id}/msg", content=b'{"eventType":"a.b","payload":%b}' % payload)
    assert answer.status_code == 202
    assert payload in answer.content


def test_json_is_read_whatever_the_content_type(tenant: Tenant) -> None:
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/json; charset=utf-8"}):
        assert tenant.http.post("/app", content=b'{"name": "a"}', headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/app/app_x/endpoint/a/b/c/d", 404, "not_found"),
        ("PUT", "/app", 405, "method_not_allowed"),
        ("DELETE", "/app/x/msg", 405, "method_not_allowed"),
        ("GET", "/app/missing", 404, "not_found"),
        ("GET", "/app/" + "x" * 1_000, 404, "not_found"),
        ("GET", "/app/%00", 404, "not_found"),
        ("GET", "/app/%ED%A0%80", 404, "not_found"),
        ("GET", "/app/a%2Fb", 404, "not_found"),
        ("GET", "/app/..%2f..%2fetc", 404, "not_found"),
    ],
)
def test_paths_that_lead_nowhere(tenant: Tenant, method: str, path: str, status: int, code: str) -> None:
    answer = tenant.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/app", "limit=0"),
        ("/app", "limit=251"),
        ("/app", "limit=many"),
        ("/app", "iterator=nonsense"),
        ("/app", "iterator=ep_01j00000000000000000000000"),
        ("/app", "iterator=-"),
        ("/app", "order=sideways"),
        ("/app/{app}/endpoint", "iterator=app_01j00000000000000000000000"),
        ("/app/{app}/msg", "before=yesterday"),
        ("/app/{app}/msg", "after=99999999999999999999"),
        ("/app/{app}/msg", "event_types=a%20b"),
        ("/app/{app}/msg", "with_content=perhaps"),
    ],
)
def test_bad_queries_name_their_parameter(tenant: Tenant, path: str, query: str) -> None:
    [location] = problems(tenant.http.get(f"{path.replace('{app}', create(tenant))}?{query}"))
    assert location == ["query", query.partition("=")[0]]


def test_both_slashes_and_both_names(tenant: Tenant) -> None:
    app_id = create(tenant)
    made = tenant.http.post(f"/app/{app_id}/endpoint/", json={"url": URL, "filterTypes": ["a.b"]})
    assert made.status_code == 201
    assert made.json()["filterTypes"] == made.json()["eventTypes"] == ["a.b"]
    assert tenant.http.post(f"/app/{app_id}/msg/", json={"eventType": "a.b", "payload": {}}).status_code == 202
    assert tenant.http.get("/app/").json() == tenant.http.get("/app").json()


def test_lists_in_queries_come_in_three_spellings(tenant: Tenant) -> None:
    app_id = create(tenant)
    for name in ("a.1", "a.2", "a.3"):
        tenant.http.post(f"/app/{app_id}/msg", json={"eventType": name, "payload": {}})
    for query in ("event_types=a.1,a.2", "event_types=a.1&event_types=a.2", "event_types[]=a.1&event_types[]=a.2"):
        found = tenant.http.get(f"/app/{app_id}/msg?{query}").json()["data"]
        assert [message["eventType"] for message in found] == ["a.2", "a.1"]


def test_request_ids_come_back(tenant: Tenant) -> None:
    app_id = create(tenant)
    message = json.dumps({"eventType": "a.b", "payload": {}})
    for method, path, content in (("GET", "/app", None), ("POST", f"/app/{app_id}/msg", message)):
        given = tenant.http.request(method, path, content=content, headers={"x-request-id": "mine-1"})
        assert given.headers["x-request-id"] == "mine-1"
        made = tenant.http.request(method, path, content=content, headers={"x-request-id": "bad id!"})
        assert made.headers["x-request-id"] not in {"", "bad id!"}


def test_browsers_of_other_origins_may_call(tenant: Tenant) -> None:
    app_id = create(tenant)
    origin = {"origin": "https://portal.example"}
    preflight = tenant.http.options(
        f"/app/{app_id}/msg",
        headers={**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"},
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    created = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}, headers=origin)
    for answer in (tenant.http.get("/app", headers=origin), created, tenant.http.get("/nothing", headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_secrets_are_not_for_caches(tenant: Tenant) -> None:
    app_id = create(tenant)
    endpoint = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": URL}).json()
    assert "secret" not in endpoint
    answer = tenant.http.get(f"/app/{app_id}/endpoint/{endpoint['id']}/secret")
    assert answer.headers["cache-control"] == "no-store"
