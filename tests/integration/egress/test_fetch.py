"""The client for the operator's addresses: pieces as they come, caps, deadlines, and every way of breaking off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from hookline.egress import Fetched, Fetcher, FetchError

Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(speak: bytes | Speak) -> AsyncIterator[str]:
    """A server that reads a request's head, answers with bytes or by a function, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if isinstance(speak, bytes):
                writer.write(speak)
                await writer.drain()
            else:
                await speak(writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base"


@asynccontextmanager
async def fetching(url: str, timeout_s: float = 5.0) -> AsyncIterator[Fetched]:
    fetched = await Fetcher().open("POST", url, [("X-Test", "1")], b"body", timeout_s=timeout_s)
    try:
        yield fetched
    finally:
        fetched.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    ],
)
async def test_bodies_of_every_framing(answer: bytes, body: bytes) -> None:
    async with answering(answer) as url, fetching(url) as fetched:
        assert fetched.status == 200
        assert "link" not in fetched.headers
        assert await fetched.read(1000) == body
        assert "x" not in fetched.headers


async def test_pieces_come_before_the_end() -> None:
    first_was_read = asyncio.Event()

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await first_was_read.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await writer.drain()

    async with answering(speak) as url, fetching(url) as fetched:
        pieces = []
        async for piece in fetched.pieces():
            pieces.append(piece)
            first_was_read.set()
        assert pieces == [b"one", b"two"]


async def test_redirects_are_answers() -> None:
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with answering(answer) as url, fetching(url) as fetched:
        assert fetched.status == 302


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"what?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 2_000,
    ],
)
async def test_what_breaks_off_or_is_no_answer(answer: bytes) -> None:
    with pytest.raises(FetchError):
        async with answering(answer) as url, fetching(url) as fetched:
            await fetched.read(1_000)


async def test_the_deadline_is_for_everything() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with answering(drip) as url:
        with pytest.raises(FetchError, match="in time"):
            async with fetching(url, timeout_s=0.2) as fetched:
                await fetched.read(1_000_000)


async def test_nobody_there_and_no_header_with_a_line_break() -> None:
    async with answering(b"") as url:
        with pytest.raises(FetchError, match="line break"):
            await Fetcher().open("GET", url, [("x", "a\r\nb: c")], b"", timeout_s=1)
    with pytest.raises(FetchError, match="No connection"):
        await Fetcher().open("GET", url, [], b"", timeout_s=1)
