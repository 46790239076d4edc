"""What a connection may cost us: long heads, slow requests, answers nobody reads, and bytes that are not HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from support.server import RunningServer, Tenant, settings_for
from support.wire import Wire, chunked, request

LIMIT_S = 0.5
BODY = b'{"eventType":"a.b","payload":{"n":1}}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give a server on one database: which one it is makes no difference to its connections."""
    with RunningServer(settings_for(tmp_path_factory.mktemp("connections"))) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give a server that waits for half a second only."""
    with RunningServer(settings_for(tmp_path_factory.mktemp("hasty"), receive_timeout_s=LIMIT_S)) as running:
        yield running


@pytest.fixture
def hurried(hasty: RunningServer) -> Iterator[Tenant]:
    tenant = Tenant(hasty)
    yield tenant
    tenant.close()


def message_request(tenant: Tenant, *headers: tuple[str, str], body: bytes = BODY, way: str = "msg") -> bytes:
    tenant.http.post("/app?get_if_exists=true", json={"name": "App", "uid": "app"})
    tenant.http.post("/app/app/msg", json={"eventType": "a.b", "payload": {}})  # from now on it is known
    authorization = ("authorization", f"Bearer {tenant.token}")
    return request("POST", f"/api/v1/app/app/{way}", [authorization, *headers], body)


def test_a_connection_that_says_nothing_is_closed(hasty: RunningServer) -> None:
    with Wire(hasty.port) as wire:
        assert wire.is_closed()


@pytest.mark.parametrize("cut", ["line", "header", "body", "long body", "chunk", "stranger's body"])
def test_a_request_that_does_not_end_is_refused(hurried: Tenant, cut: str) -> None:
    whole = message_request(hurried)
    in_chunks = message_request(hurried, ("transfer-encoding", "chunked"), body=b"")
    pieces = {
        "line": b"POST /api/v1",
        "header": whole[:60],
        "body": whole[:-5],
        "long body": message_request(hurried, way="%6dsg")[:-5],
        "chunk": in_chunks + chunked(BODY, 10)[:20],
        "stranger's body": request("POST", "/api/v1/app/app/msg", [], BODY)[:-5],
    }
    with Wire(hurried.server.port) as wire:
        answers = wire.send(pieces[cut]).answers(2)
        assert wire.closed
    if cut == "stranger's body":  # its answer does not wait for the body
        assert [answer.status for answer in answers] == [401]
    else:
        assert [answer.status for answer in answers] == [408]
        assert answers[0].json["code"] == "request_timeout"
        assert answers[0].headers["connection"] == "close"


def test_dripping_bytes_do_not_stretch_the_time(hurried: Tenant) -> None:
    """Each byte comes in time, the request does not."""
    whole = message_request(hurried)
    began = time.monotonic()
    with Wire(hurried.server.port) as wire:

        def drip() -> None:
            try:
                for byte in whole * 1_000:
                    wire.send(bytes([byte]))
                    if done.wait(0.02):
                        return
            except OSError:
                return

        done = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        [answer] = wire.answers()
        done.set()
        thread.join()
    assert answer.status == 408
    assert LIMIT_S * 0.9 < time.monotonic() - began < LIMIT_S + 5


def test_a_kept_connection_has_its_time_anew_for_each_request(hurried: Tenant) -> None:
    whole = message_request(hurried)
    with Wire(hurried.server.port) as wire:
        for _ in range(3):
            wire.send(whole[:40])
            time.sleep(LIMIT_S * 0.5)
            assert [answer.status for answer in wire.send(whole[40:]).answers()] == [202]


HEAD_LIMIT = 65_536


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([request("GET", "/livez", [("x", "a" * 60_000)])], 200),
        ([request("GET", "/livez", [("x", "a" * HEAD_LIMIT)])], 431),
        ([request("GET", "/livez", [(f"x{n}", "a" * 7_000) for n in range(10)])], 431),
        ([request("GET", "/livez", [(f"x-{n}", "a") for n in range(3_000)])], 431),
        ([request("GET", "/livez?" + "a" * HEAD_LIMIT)], 431),
        ([b"GET /livez HTTP/1.1\r\nx: "] + [b"a" * 1_000] * 80, 431),
        ([b"GET /" + b"a" * 50_000] + [b"a" * 1_000] * 80, 431),
        ([b"a" * 100_000], 400),
    ],
    ids=["long enough", "value", "values", "headers", "url", "endless value", "endless url", "endless method"],
)
def test_long_heads(server: RunningServer, pieces: list[bytes], status: int) -> None:
    with Wire(server.port) as wire:
        answer = wire.send(*pieces).answers()[0]
        assert answer.status == status
        if status != 200:
            assert answer.json.keys() == {"code", "detail"}
            assert wire.is_closed()


def test_endless_trailers_and_chunk_extensions(tenant: Tenant) -> None:
    head = message_request(tenant, ("transfer-encoding", "chunked"), body=b"")
    for endless in (b"1\r\n{\r\n0\r\nx: ", b"1;"):
        with Wire(tenant.server.port) as wire:
            answer = wire.send(head + endless, *[b"a" * 50_000] * 20).answers()[0]
            assert (answer.status, wire.is_closed()) == (431, True)


NOT_HTTP = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nul in url": b"GET /li\x00vez HTTP/1.1\r\n\r\n",
    "nul in header": b"GET /livez HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "signed length": b"POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nhi",
    "space before colon": b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nhi",
    "chunked is not last": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "folded header": b"GET /livez HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "bytes above ascii in url": b"GET /\xff HTTP/1.1\r\n\r\n",
    "unknown method": b"FETCH / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_refused_in_json(server: RunningServer, name: str) -> None:
    with Wire(server.port) as wire:
        [answer] = wire.send(NOT_HTTP[name]).answers(2)
        assert (answer.status, answer.json["code"]) == (400, "generic_error")
        assert answer.headers["connection"] == "close"


def test_no_tunnel(server: RunningServer) -> None:
    with Wire(server.port) as wire:
        [answer] = wire.send(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n").answers(2)
        assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("way", ["msg", "%6dsg"])
def test_a_refusal_is_not_taken_for_the_answer_to_the_request_before_it(tenant: Tenant, way: str) -> None:
    good = message_request(tenant, way=way)
    broken_chunk = message_request(tenant, ("transfer-encoding", "chunked"), body=b"") + b"1\r\n{\r\nzz\r\n"
    for rubbish in (b"rubbish\r\n\r\n", NOT_HTTP["length and chunks"], broken_chunk):
        with Wire(tenant.server.port) as wire:
            answers = wire.send(good + good + rubbish + good).answers(5)
            assert [answer.status for answer in answers] == [202, 202, 400]
    with Wire(tenant.server.port) as wire:  # an answer has come, and then no more of the body
        stranger = request("POST", "/api/v1/app/app/msg", [("transfer-encoding", "chunked")])
        assert [answer.status for answer in wire.send(stranger + b"zz\r\n").answers(2)][-1] in {400, 401}
        assert wire.closed


def test_a_wish_for_another_protocol_does_not_hide_a_request_in_a_body(tenant: Tenant) -> None:
    """Whoever asks to upgrade gets a plain answer; its body stays its body, and the connection goes on."""
    app = request("GET", "/api/v1/app/app", [("authorization", f"Bearer {tenant.token}")])
    for connection in ("Upgrade, HTTP2-Settings", "upgrade", "close, upgrade"):
        upgrade = (("connection", connection), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__"))
        hidden = request("DELETE", "/api/v1/app/app", [("authorization", f"Bearer {tenant.token}")])
        for body, status in ((BODY, 202), (hidden, 422)):
            whole = message_request(tenant, *upgrade, body=body)
            cut = len(whole) - len(body)
            with Wire(tenant.server.port) as wire:
                answers = wire.send(whole[:cut], whole[cut:] + app).answers(3 if "close" in connection else 2)
            assert [a.status for a in answers] == ([status] if "close" in connection else [status, 200])
            with Wire(tenant.server.port) as wire:
                assert wire.send(whole + app).answers()[0].status == status
    with Wire(tenant.server.port) as wire:
        assert wire.send(request("GET", "/livez", [("connection", "upgrade"), ("upgrade", "websocket")])).answers()[
            0
        ].status in {200, 404}


def test_answers_that_nobody_reads_are_given_up(hurried: Tenant) -> None:
    """The server ends such a connection by itself, long before the keep-alive time."""
    hurried.http.post("/app", json={"name": "App", "uid": "app"})
    content = message_request(hurried, body=b'{"eventType":"a.b","payload":{"a":"%b"}}' % (b"x" * 60_000))
    with Wire(hurried.server.port) as wire, pytest.raises((ConnectionResetError, BrokenPipeError)):
        wire.send(*[content] * 2_000)


def test_what_an_idle_connection_holds(server: RunningServer) -> None:
    """Thousands of callers that do nothing must not matter."""
    import gc
    import tracemalloc

    with Wire(server.port) as wire:
        wire.send(request("GET", "/livez")).answers()
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    wires = [Wire(server.port) for _ in range(200)]
    for wire in wires:
        assert wire.send(request("GET", "/livez")).answers()[0].status == 200
    gc.collect()
    each = (tracemalloc.get_traced_memory()[0] - before) / len(wires)
    tracemalloc.stop()
    for wire in wires:
        wire.socket.close()
    assert each < 30_000, each
