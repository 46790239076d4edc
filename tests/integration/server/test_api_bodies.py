"""Bodies: how large, how they arrive, and that a payload is never touched."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Receiver, RunningServer, Tenant, settings_for

MAX_PAYLOAD_BYTES = 2_000
PATIENCE_S = 10

PAYLOADS = [
    b"{}",
    b'{ "a" :\t1 ,\r\n "b": [ ] }',
    b'{"n": 1.0, "big": 123456789012345678901234567890, "e": 1E+2, "z": -0.0}',
    b'{"s": "\\u00e9\\/\\ud83d\\ude00 \xc3\xa9", "\\u0061": null}',
    b'{"a": 1, "a": 2}',
    b'{"order": {"z": 1, "a": 2}, "payload": {"eventType": "x"}}',
    json.dumps({"text": "x" * 10_000}).encode(),
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
@pytest.mark.parametrize("shape", [b'{"eventType":"a.b","payload":%b}', b' { "data" : %b , "eventType" : "a.b" } '])
def test_a_payload_arrives_byte_for_byte(tenant: Tenant, receiver: Receiver, payload: bytes, shape: bytes) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
    created = tenant.http.post(f"/app/{app_id}/msg", content=shape % payload)
    assert created.status_code == 202
    assert b'"payload":%b,' % payload in created.content
    assert receiver.next().body == payload
    read = tenant.http.get(f"/app/{app_id}/msg/{created.json()['id']}")
    assert b'"payload":%b,' % payload in read.content


def test_a_raw_payload_is_sent_verbatim(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
    raw = '{"exactly":  "this"}'
    body = {"eventType": "a.b", "payload": {}, "transformationsParams": {"rawPayload": raw}}
    assert tenant.http.post(f"/app/{app_id}/msg", json=body).status_code == 202
    assert receiver.next().body == raw.encode()
    body["transformationsParams"] = {"rawPayload": "<xml/>"}
    assert tenant.http.post(f"/app/{app_id}/msg", json=body).status_code == 422


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = settings_for(tmp_path_factory.mktemp("small"), max_payload_bytes=MAX_PAYLOAD_BYTES)
    with RunningServer(settings) as running:
        yield running


@pytest.fixture
def small(small_server: RunningServer) -> Iterator[Tenant]:
    tenant = Tenant(small_server)
    yield tenant
    tenant.close()


def test_the_payload_has_a_cap_of_its_own(small: Tenant) -> None:
    app_id = small.http.post("/app", json={"name": "App"}).json()["id"]
    for size, status in ((MAX_PAYLOAD_BYTES, 202), (MAX_PAYLOAD_BYTES + 1, 413)):
        payload = b'{"a":"%b"}' % (b"x" * (size - 8))
        answer = small.http.post(f"/app/{app_id}/msg", content=b'{"eventType":"a.b","payload":%b}' % payload)
        assert answer.status_code == status
    assert answer.json()["code"] == "payload_too_large"


@pytest.mark.parametrize("path", ["/app", "/app/some/msg", "/nothing"])
@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused(small: Tenant, path: str, chunked: bool) -> None:
    content = b"x" * (small.server.runtime.max_body_bytes + 1)
    pieces = (content[start : start + 10_000] for start in range(0, len(content), 10_000))
    answer = small.http.post(path, content=pieces if chunked else content)
    if path == "/nothing":
        assert answer.status_code in {404, 413}
    else:
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/api/v1/app", "/api/v1/app/some/msg"])
def test_a_body_that_only_announces_itself_is_refused_before_it_comes(small: Tenant, path: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {small.token}\r\n"
        "Content-Length: 999999999999\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", small.server.port), PATIENCE_S) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(4_096).split(b"\r\n")[0]
        connection.settimeout(PATIENCE_S)
        while connection.recv(4_096):
            pass  # and the connection is closed: nobody waits for the rest


def test_a_stranger_is_refused_before_the_body_is_read(small: Tenant) -> None:
    head = b"POST /api/v1/app HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", small.server.port), PATIENCE_S) as connection:
        connection.sendall(head)
        assert b" 401 " in connection.recv(4_096).split(b"\r\n")[0]


def test_data_directory_is_private(tmp_path: Path) -> None:
    """What opens secrets lies beside the database, for its owner alone."""
    with RunningServer(settings_for(tmp_path)):
        for name in ("hookline.db.key", "hookline.db.jwt"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0
