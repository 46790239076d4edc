"""The same request again: the hot way and the long way give the same answers, and no message twice."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.server import Tenant

PATIENCE_S = 20

CASES: list[tuple[bytes, dict[str, str]]] = [
    (b'{"eventType":"a.b","payload":{"n":1}}', {}),
    (b'{"eventType":"a.b","payload":{"n":1},"eventId":"e1","channels":["x"]}', {"idempotency-key": "k"}),
    (b'{"eventType":"a.b","payload":{"n":2}}', {"idempotency-key": "k"}),
    (b'{"eventType":"a.b","payload":{"n":1},"eventId":"e1"}', {}),
    (b'{"eventType":"a b","payload":[]}', {}),
    (b'{"eventType":"a.b"}', {}),
    (b"{", {}),
    (b"", {}),
    (b'{"eventType":"a.b","payload":{}}', {"idempotency-key": ""}),
    (b'{"eventType":"a.b","payload":{}}', {"idempotency-key": "x" * 300}),
    (b'{"eventType":"a.b","payload":{}}', {"idempotency-key": '"quoted"'}),
]
QUERIES = ["", "?with_content=false", "?with_content=true", "?with_content=0", "?with_content=perhaps", "?other=1"]


class Asker:
    """Speaks HTTP by hand, to choose the way: HTTP/1.0 always goes through the framework."""

    def __init__(self, tenant: Tenant, app: str, version: str) -> None:
        self._tenant = tenant
        self._app = app
        self._version = version

    def ask(self, body: bytes, headers: dict[str, str], query: str = "") -> tuple[int, Any]:
        head = [
            f"POST /api/v1/app/{self._app}/msg{query} HTTP/{self._version}",
            "host: x",
            "connection: close",
            f"authorization: Bearer {self._tenant.token}",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        with socket.create_connection(("127.0.0.1", self._tenant.server.port), PATIENCE_S) as connection:
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        top, _, content = received.partition(b"\r\n\r\n")
        names = {line.partition(b":")[0].lower() for line in top.split(b"\r\n")[1:]}
        assert {b"content-type", b"x-request-id"} <= names
        return int(top.split(b" ")[1]), json.loads(content)


@pytest.mark.parametrize("query", QUERIES)
def test_both_ways_say_the_same(tenant: Tenant, query: str) -> None:
    answers = []
    for version in ("1.1", "1.0"):
        app_id = tenant.http.post("/app", json={"name": version}).json()["id"]
        warm = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "warm.up", "payload": {}})
        assert warm.status_code == 202  # caller and application are remembered from now on
        asker = Asker(tenant, app_id, version)
        said: list[Any] = []
        made: dict[str | None, int] = {}
        for body, headers in [*CASES, *CASES]:
            status, content = asker.ask(body, headers, query)
            made.setdefault(content.pop("id", None), len(made))
            content.pop("timestamp", None)
            if "messageId" in content:  # which one of those that were made here
                content = {"code": content["code"], "of": made[content["messageId"]]}
            said.append((status, content))
        answers.append(said)
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} >= ({422} if "perhaps" in query else {202, 409, 422})


def test_one_message_however_many_ask_at_once(tenant: Tenant) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    body = {"eventType": "a.b", "payload": {}, "eventId": "once"}

    def ask(_: int) -> tuple[int, str]:
        answer = tenant.http.post(f"/app/{app_id}/msg", json=body, headers={"idempotency-key": "once"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(ask, range(24)))
    assert len(answers) == 1
    assert len(tenant.http.get(f"/app/{app_id}/msg").json()["data"]) == 1


def test_one_event_id_however_many_ask_at_once(tenant: Tenant) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    body = {"eventType": "a.b", "payload": {}, "eventId": "once"}

    def ask(number: int) -> tuple[int, str]:
        key = {"idempotency-key": f"auto_{number}"}
        answer = tenant.http.post(f"/app/{app_id}/msg", json=body, headers=key)
        return answer.status_code, answer.json()["id" if answer.status_code == 202 else "messageId"]

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(ask, range(16)))
    [message] = tenant.http.get(f"/app/{app_id}/msg").json()["data"]
    assert answers == [(202, message["id"])] + [(409, message["id"])] * 15


def test_keys_are_names_within_an_application(tenant: Tenant) -> None:
    key = {"idempotency-key": "same"}
    made = set()
    for name in ("a", "b"):
        app_id = tenant.http.post("/app", json={"name": name}).json()["id"]
        body = {"eventType": "a.b", "payload": {"of": name}, "eventId": "same"}
        answer = tenant.http.post(f"/app/{app_id}/msg", json=body, headers=key)
        assert answer.status_code == 202
        made.add(answer.json()["id"])
    assert len(made) == 2
