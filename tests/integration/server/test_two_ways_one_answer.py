"""The hot route and the framework's give the same answer to the same request, however it arrives.

The path with an escaped letter goes the long way. Which way a request really went can be told from the request id that
the server makes up: 16 digits on the connection itself, 24 in the framework.
"""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.server import RunningServer, Tenant, settings_for
from support.wire import Answer, Wire, chunked, request

BODY = b'{"eventType":"a.b","payload":{"n":1}}'
HOT, LONG = "msg", "%6dsg"
SOON = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}".encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give a server on one database: which one it is makes no difference to its connections."""
    with RunningServer(settings_for(tmp_path_factory.mktemp("connections"))) as running:
        yield running


@pytest.fixture
def app_id(tenant: Tenant) -> str:
    app_id: str = tenant.http.post("/app", json={"name": "App", "uid": "app"}).json()["id"]
    return app_id


def warm(tenant: Tenant, app_id: str) -> None:
    """Let the server remember this caller and this application: from now on they are known for some seconds."""
    tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}})


def authorized(tenant: Tenant, *headers: tuple[str, str]) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {tenant.token}"), *headers]


def went_hot(answer: Answer) -> bool:
    return len(answer.headers["x-request-id"]) == 16


def essence(answer: Answer) -> Any:
    """An answer without what differs from time to time."""
    body = re.sub(rb'"(id|timestamp)":"[^"]*"', rb'"\1":""', answer.body)
    own = {"date", "x-request-id", "vary"}  # what varies by origin is for browsers, which all go the long way
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status, headers, body


def both(tenant: Tenant, app_id: str, build: Any, *, query: str = "") -> tuple[Answer, Answer]:
    """The answers of both ways to what `build` makes of a path."""
    warm(tenant, app_id)
    found = []
    for way in (HOT, LONG):
        with Wire(tenant.server.port) as wire:
            wire.send(*build(f"/api/v1/app/{app_id}/{way}{query}"))
            found += wire.answers()
    assert len(found) == 2
    assert not went_hot(found[1])
    return found[0], found[1]


TOKEN_AGAIN = ("x-stands-for", "the token")

SHAPES: dict[str, tuple[list[tuple[str, str]], bytes, str]] = {
    "plain": ([], BODY, ""),
    "slash": ([], BODY, "/"),
    "query": ([], BODY, "?with_content=false"),
    "query twice": ([], BODY, "?with_content=true&with_content=0"),
    "query empty": ([], BODY, "?"),
    "query wrong": ([], BODY, "?with_content=perhaps"),
    "query strange": ([], BODY, "?with_content=%ff%00&&=&a=%zz"),
    "not json": ([], b"{", ""),
    "empty body": ([], b"", ""),
    "wrong type": ([], b'{"eventType":1,"payload":{}}', ""),
    "no payload": ([], b'{"eventType":"a.b"}', ""),
    "payload twice": ([], b'{"eventType":"a.b","payload":{},"payload":{"a":1}}', ""),
    "bad event type": ([], b'{"eventType":"a b","payload":{}}', ""),
    "payload list": ([], b'{"eventType":"a.b","payload":[]}', ""),
    "half a surrogate": ([], b'{"eventType":"a.b","payload":{"a":"\\ud800"}}', ""),
    "not utf-8": ([], b'{"eventType":"a.b","payload":{"a":"\xff"}}', ""),
    "deep": ([], b'{"eventType":"a.b","payload":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_000 + b"}", ""),
    "key empty": ([("idempotency-key", "")], BODY, ""),
    "key long": ([("idempotency-key", "k" * 257)], BODY, ""),
    "key strange": ([("idempotency-key", "\xff")], BODY, ""),
    "two keys": ([("idempotency-key", "shape-1"), ("idempotency-key", "shape-2")], BODY, ""),
    "other type": ([("content-type", "text/plain")], BODY, ""),
    "encoded": ([("content-encoding", "gzip")], b"\x1f\x8b\x08", ""),
    "two callers": ([("authorization", "Bearer nonsense")], BODY, ""),
    "two callers, the first wrong": ([("authorization", "Bearer nonsense"), TOKEN_AGAIN], BODY, ""),
    "close": ([("connection", "close")], BODY, ""),
    "delayed": ([], b'{"eventType":"a.b","payload":{},"deliverAt":"%b"}' % SOON, ""),
    "delayed too long": ([], b'{"eventType":"a.b","payload":{},"deliverAt":"2099-01-01T00:00:00Z"}', ""),
    "delayed twice": ([], b'{"eventType":"a.b","payload":{},"deliverAt":"%b","deliverAt":"%b"}' % (SOON, SOON), ""),
    "tags": ([], b'{"eventType":"a.b","payload":{},"tags":["blue","deep sea"]}', ""),
    "tags twice": ([], b'{"eventType":"a.b","payload":{},"tags":["blue"],"tags":["red"]}', ""),
    "both retentions": (
        [],
        b'{"eventType":"a.b","payload":{},"payloadRetentionHours":1,"payloadRetentionPeriod":5}',
        "",
    ),
    "bad uid": ([], b'{"eventType":"a.b","payload":{},"eventId":"msg_x"}', ""),
    "bom": ([], b"\xef\xbb\xbf" + BODY, ""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_request(tenant: Tenant, app_id: str, shape: str) -> None:
    headers, body, suffix = SHAPES[shape]
    query, slash = (suffix, "") if suffix.startswith("?") else ("", suffix)

    def build(path: str) -> list[bytes]:
        stated = authorized(tenant, *headers)
        if TOKEN_AGAIN in stated:
            stated = [*headers[:-1], stated[0]]
        if not body:
            stated.append(("content-length", "0"))
        return [request("POST", path + slash, stated, body)]

    hot, long = both(tenant, app_id, build, query=query)
    assert essence(hot) == essence(long)
    assert went_hot(hot) is (shape not in {"two keys", "two callers", "two callers, the first wrong"})


@pytest.mark.parametrize("split", ["whole", "byte by byte", "chunked", "chunk a byte", "trailers"])
def test_however_it_arrives(tenant: Tenant, app_id: str, split: str) -> None:
    def build(path: str) -> list[bytes]:
        in_chunks = [("transfer-encoding", "chunked")]
        trailers = b"authorization: Bearer nonsense\r\nidempotency-key: \xff\r\n" if split == "trailers" else b""
        whole = {
            "chunked": request("POST", path, authorized(tenant, *in_chunks)) + chunked(BODY, 10),
            "chunk a byte": request("POST", path, authorized(tenant, *in_chunks)) + chunked(BODY, 1),
            "trailers": request("POST", path, authorized(tenant, *in_chunks)) + chunked(BODY, 10, trailers),
        }.get(split, request("POST", path, authorized(tenant), BODY))
        return [bytes([byte]) for byte in whole] if split == "byte by byte" else [whole]

    hot, long = both(tenant, app_id, build)
    assert essence(hot) == essence(long)
    assert (hot.status, went_hot(hot)) == (202, True)


def test_a_body_cut_anywhere(tenant: Tenant, app_id: str) -> None:
    warm(tenant, app_id)
    with Wire(tenant.server.port) as wire:
        for way in (HOT, LONG):
            whole = request("POST", f"/api/v1/app/{app_id}/{way}", authorized(tenant), BODY)
            for cut in range(len(whole) - len(BODY) - 3, len(whole)):
                [answer] = wire.send(whole[:cut], whole[cut:]).answers()
                assert (answer.status, answer.json["payload"]) == (202, {"n": 1}), cut


def test_pipelined_in_every_mix(tenant: Tenant, app_id: str) -> None:
    """Hot, long, refused, and not about messages at all: answers come in the order of the requests."""
    path = f"/api/v1/app/{app_id}"
    kinds = {
        "hot": (request("POST", f"{path}/{HOT}", authorized(tenant), BODY), 202),
        "long": (request("POST", f"{path}/{LONG}", authorized(tenant), BODY), 202),
        "get": (request("GET", path, authorized(tenant)), 200),
        "wrong": (request("POST", f"{path}/{HOT}", authorized(tenant), b"{}"), 422),
        "stranger": (request("POST", f"{path}/{HOT}", [], BODY), 401),
    }
    warm(tenant, app_id)
    for mix in itertools.product(kinds, repeat=3):
        with Wire(tenant.server.port) as wire:
            wire.send(b"".join(kinds[kind][0] for kind in mix))
            statuses = [answer.status for answer in wire.answers(3)]
        assert statuses == [kinds[kind][1] for kind in mix], mix
    with Wire(tenant.server.port) as wire:  # cut in the middle of one of them
        whole = b"".join(kinds[kind][0] for kind in ("hot", "hot", "long", "hot"))
        for cut in range(0, len(whole), 37):
            assert [a.status for a in wire.send(whole[:cut], whole[cut:]).answers(4)] == [202] * 4, cut


def test_expect_continue(tenant: Tenant, app_id: str) -> None:
    warm(tenant, app_id)
    head = request("POST", f"/api/v1/app/{app_id}/msg", authorized(tenant, ("expect", "100-continue"))).removesuffix(
        b"\r\n"
    )
    with Wire(tenant.server.port) as wire:
        wire.send(head + b"content-length: %d\r\n\r\n" % len(BODY))
        assert wire.answers()[0].status == 100
        assert wire.send(BODY).answers()[0].status == 202


def test_http_1_0_and_half_closed(tenant: Tenant, app_id: str) -> None:
    warm(tenant, app_id)
    for way in (HOT, LONG):
        old = request("POST", f"/api/v1/app/{app_id}/{way}", authorized(tenant), BODY, version="1.0")
        with Wire(tenant.server.port) as wire:
            assert [a.status for a in wire.send(old).answers(2)] == [202]
            assert wire.closed
    with Wire(tenant.server.port) as wire:
        wire.send(request("POST", f"/api/v1/app/{app_id}/{HOT}", authorized(tenant), BODY))
        wire.socket.shutdown(1)
        [answer] = wire.answers(2)
        assert (answer.status, answer.headers["connection"]) == (202, "close")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://anything.example/api/v1/app/{app}/msg", 202),
        ("/api/v1/app/{app}/msg/", 202),
        ("/api/v1/app/{app}/msg//", 202),
        ("//api/v1/app/{app}/msg", 404),
        ("/api/v1/app//{app}/msg", 404),
        ("/api/v1/./app/{app}/msg", 404),
        ("/API/v1/app/{app}/msg", 404),
        ("/api/v1/app/{app}/msg;x", 404),
        ("/api/v1/app/{app}%00/msg", 404),
        ("/api/v1/app/%ff%fe/msg", 404),
        ("/api/v1/app/..%2f..%2fapp%2f{app}/msg", 404),
        ("/api/v1/app/" + "x" * 300 + "/msg", 404),
        ("/api/v1/app/{app}/msg?" + "x" * 20_000, 202),
        ("api/v1/app/{app}/msg", 400),
        ("*", 404),
    ],
)
def test_spellings_of_the_path(tenant: Tenant, app_id: str, target: str, status: int) -> None:
    warm(tenant, app_id)
    with Wire(tenant.server.port) as wire:
        [answer] = wire.send(
            request("POST", target.format(app=app_id), authorized(tenant, ("connection", "close")), BODY)
        ).answers(2)
    assert answer.status == status
    assert answer.json.keys() >= ({"id"} if status == 202 else {"code", "detail"})


@pytest.mark.parametrize("way", [HOT, LONG])
@pytest.mark.parametrize("framing", ["announced", "chunked"])
def test_too_much(server: RunningServer, tenant: Tenant, app_id: str, way: str, framing: str) -> None:
    """The whole of it is sent before anything is read: whoever does so still gets to see the answer, and may go on."""
    warm(tenant, app_id)
    body = b'{"eventType":"a.b","payload":{"a":"%b"}}' % (b"x" * (server.runtime.max_body_bytes + 500_000))
    path = f"/api/v1/app/{app_id}/{way}"
    if framing == "announced":
        content = request("POST", path, authorized(tenant), body)
    else:
        content = request("POST", path, authorized(tenant, ("transfer-encoding", "chunked"))) + chunked(body, 60_000)
    with Wire(server.port) as wire:
        [answer] = wire.send(content).answers()
        limit = f"The request has more than {server.runtime.max_body_bytes} bytes. Send less at once."
        assert (answer.status, answer.json) == (413, {"code": "payload_too_large", "detail": limit})
        [again] = wire.send(request("POST", path, authorized(tenant), BODY)).answers()
        assert again.status == 202


def test_a_caller_that_is_gone_before_the_answer(tenant: Tenant, app_id: str) -> None:
    """What was accepted stays so; the server goes on."""
    for way in (HOT, LONG):
        warm(tenant, app_id)
        with Wire(tenant.server.port) as wire:
            body = b'{"eventType":"a.b","payload":{},"eventId":"gone-%b"}' % way.strip("%").encode()
            wire.send(request("POST", f"/api/v1/app/{app_id}/{way}", authorized(tenant), body))
    warm(tenant, app_id)
    for _ in range(200):
        listed = {message["eventId"] for message in tenant.http.get(f"/app/{app_id}/msg").json()["data"]}
        if listed >= {"gone-msg"}:
            break
    assert "gone-msg" in listed


def test_a_caller_that_reads_no_answers_is_not_served_for_ever(tenant: Tenant, app_id: str) -> None:
    """Thousands of requests at once, no answer read: the server stops reading, and holds no more than its buffers."""
    warm(tenant, app_id)
    body = b'{"eventType":"a.b","payload":{"a":"%b"}}' % (b"x" * 20_000)
    content = request("POST", f"/api/v1/app/{app_id}/{HOT}", authorized(tenant), body)
    with Wire(tenant.server.port) as wire:
        wire.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            wire.send(*[content] * 4_000)


def test_a_caller_that_reads_no_answers_but_waits_for_each(tenant: Tenant, app_id: str) -> None:
    """The same at a leisurely pace, so that nothing is ever pipelined: it must not fill the server's memory either."""
    warm(tenant, app_id)
    body = b'{"eventType":"a.b","payload":{"a":"%b"}}' % (b"x" * 100_000)
    content = request("POST", f"/api/v1/app/{app_id}/{HOT}", authorized(tenant), body)
    ingested = tenant.server.runtime.engine.stats.ingested
    most, accepted_all = 300, True
    with Wire(tenant.server.port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        for _ in range(most):
            before = ingested["accepted"]
            wire.send(content)
            until = time.monotonic() + 2
            while ingested["accepted"] == before and time.monotonic() < until:
                time.sleep(0.001)
            if ingested["accepted"] == before:
                accepted_all = False
                break
    assert not accepted_all
