"""The delivery client: what goes over the wire, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hookline.egress import HttpTransport, Outcome, Reason, Request, Response
from integration.egress.receivers import Receiver, post, reason_of
from integration.egress.zoo import serve_act

Make = Callable[..., HttpTransport]


async def capture(
    make_transport: Make, request: Callable[[str], Request], answer: bytes = b""
) -> tuple[bytes, Outcome]:
    """Send one request to a raw socket and give back the bytes that arrived."""
    arrived = b""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with serve_act(act) as port:
        transport = make_transport()
        outcome = await transport.send(request(f"http://127.0.0.1:{port}"))
        await transport.close()
    return arrived.replace(str(port).encode(), b"PORT"), outcome


async def test_writes_exactly_this(make_transport: Make) -> None:
    wire, _ = await capture(make_transport, lambda base: post(f"{base}/a/b?c=d%20e", b""))
    assert wire == (
        b"POST /a/b?c=d%20e HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAccept-Encoding: identity\r\n"
        b"webhook-id: msg_1\r\nUser-Agent: Hookline\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "HEAD"])
async def test_methods_without_body_send_no_length(make_transport: Make, method: str) -> None:
    wire, outcome = await capture(
        make_transport,
        lambda base: post(base, b"", method=method),
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + (b"" if method == "HEAD" else b"abc"),
    )
    assert wire.startswith(method.encode() + b" / HTTP/1.1\r\n")
    assert b"ontent-" not in wire
    assert isinstance(outcome, Response)
    assert outcome.body == (b"" if method == "HEAD" else b"abc")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "GET / HTTP/1.1\r\nX: y\r\n", ""])
async def test_other_methods_are_refused(make_transport: Make, method: str) -> None:
    assert reason_of(await make_transport().send(post("http://127.0.0.1:9/", method=method))) is Reason.INVALID_REQUEST


async def test_environment_proxies_are_ignored(
    make_transport: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(await make_transport().send(post(receiver.url())), Response)


async def test_large_body_arrives_whole(make_transport: Make, receiver: Receiver) -> None:
    body = bytes(range(256)) * 20_000
    assert isinstance(await make_transport().send(post(receiver.url(), body)), Response)
    assert receiver.requests == [("/hook", body)]
