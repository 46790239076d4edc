"""The delivery client through an outbound CONNECT proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from hookline.egress import Failure, Proxy, Reason, Response, StaticResolver
from integration.egress.conftest import Make
from integration.egress.receivers import Receiver, post, reason_of
from integration.egress.zoo import serve_act


class ConnectProxy:
    """A small CONNECT proxy. It sends every tunnel to `leads_to`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.heads: list[bytes] = []
        self.leads_to: int = 0
        self.answer = b"HTTP/1.1 200 Connection established\r\n\r\n"

    async def act(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        if b" 200 " not in self.answer:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.transport.abort()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(receiver: Receiver) -> AsyncIterator[ConnectProxy]:
    running = ConnectProxy()
    running.leads_to = receiver.port
    async with serve_act(running.act) as port:
        running.port = port
        yield running


def through(proxy: ConnectProxy, credentials: str | None = None) -> Proxy:
    return Proxy("127.0.0.1", proxy.port, credentials)


async def test_the_proxy_gets_the_name_and_the_receiver_the_request(
    make_transport: Make, proxy: ConnectProxy, receiver: Receiver
) -> None:
    transport = make_transport(StaticResolver({}), proxy=through(proxy, "user:pass"), allow_http=True, allow=())
    for _ in range(2):
        outcome = await transport.send(post("http://hooks.example:8080/x"))
        assert isinstance(outcome, Response), outcome
        assert outcome.remote == "proxy"
    assert b"".join(proxy.heads) == (
        b"CONNECT hooks.example:8080 HTTP/1.1\r\nHost: hooks.example:8080\r\n"
        b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
    )
    assert [path for path, _ in receiver.requests] == ["/x", "/x"]
    await transport.close()


async def test_the_proxy_gets_the_vetted_address_if_so_set(make_transport: Make, proxy: ConnectProxy) -> None:
    names = StaticResolver({"hooks.example": ["127.0.0.1"], "inside.example": ["10.0.0.1"]})
    transport = make_transport(names, proxy=through(proxy), proxy_resolves=False)
    outcome = await transport.send(post("http://hooks.example:8080/"))
    assert isinstance(outcome, Response)
    assert outcome.remote == "127.0.0.1"
    assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:8080 HTTP/1.1\r\n")
    assert reason_of(await transport.send(post("https://inside.example/"))) is Reason.BLOCKED_ADDRESS
    assert len(proxy.heads) == 1
    await transport.close()


async def test_literals_and_metadata_names_are_judged_here_all_the_same(
    make_transport: Make, proxy: ConnectProxy
) -> None:
    transport = make_transport(proxy=through(proxy), allow=())
    for url in ("https://10.0.0.1/", "https://[::1]/", "https://metadata.google.internal/", "https://localhost/"):
        assert reason_of(await transport.send(post(url))) is Reason.BLOCKED_ADDRESS
    assert reason_of(await transport.send(post("http://hooks.example/"))) is Reason.INVALID_URL
    assert proxy.heads == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 302 Go\r\nLocation: http://elsewhere\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 500 " + b"a" * 20_000,
        b"",
    ],
)
async def test_a_proxy_that_refuses(
    make_transport: Make, proxy: ConnectProxy, receiver: Receiver, answer: bytes
) -> None:
    proxy.answer = answer
    transport = make_transport(proxy=through(proxy, "user:pass"), allow_http=True, allow=())
    outcome = await transport.send(post("http://hooks.example/"))
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.PROXY
    assert "pass" not in outcome.detail
    assert receiver.requests == []
    await transport.close()


async def test_a_proxy_that_hangs(make_transport: Make) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    async with serve_act(act) as port:
        transport = make_transport(proxy=Proxy("127.0.0.1", port), connect_timeout_s=0.2)
        outcome = await transport.send(post("https://hooks.example/"))
        assert reason_of(outcome) is Reason.PROXY
        await transport.close()


async def test_a_proxy_that_is_down(make_transport: Make, free_port: int) -> None:
    transport = make_transport(proxy=Proxy("127.0.0.1", free_port))
    assert reason_of(await transport.send(post("https://hooks.example/"))) is Reason.PROXY
