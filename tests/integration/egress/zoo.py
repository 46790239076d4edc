"""The hostile-receiver zoo: real servers that answer as badly as servers can, each with the outcome it must lead to.

Every behaviour is one coroutine on a real socket, and one row in `BEHAVIOURS`:

    async with serve(BEHAVIOURS["drip_body"]) as port: ...

`expected` holds the codes that are right: a status where the answer counts in spite of everything, else a reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from hookline.egress import Reason

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Behaviour:
    """One animal. `ends_at_deadline`: it never lets go, so only the client's deadline ends it."""

    name: str
    act: Act
    expected: tuple[int | Reason, ...]
    ends_at_deadline: bool = False
    truncated: bool = False
    body_bytes: int = 2
    """How much the client must send for this behaviour to show."""


BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(*expected: int | Reason, **rest: bool | int) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        name = act.__name__
        BEHAVIOURS[name] = Behaviour(name, act, expected, **rest)  # type: ignore[arg-type]
        return act

    return register


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one request: (path, body)."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return head.split(b" ")[1].decode(), await reader.readexactly(size)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader) -> None:
    """Do nothing until the other side goes."""
    while await reader.read(65536):
        pass


def answer(name: str, *expected: int | Reason, data: bytes, close: bool = False, **rest: bool | int) -> None:
    """Register a behaviour that reads the request and sends fixed bytes."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(data)
        await writer.drain()
        if not close:
            await hang(reader)

    BEHAVIOURS[name] = Behaviour(name, act, expected, **rest)  # type: ignore[arg-type]


async def flood(writer: asyncio.StreamWriter, beginning: bytes, piece: bytes) -> None:
    """Send without end."""
    writer.write(beginning)
    while True:
        writer.write(piece)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send byte by byte: fast enough for every per-read time limit, never done in time."""
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


# -- connections that go wrong -----------------------------------------------------------------------------------------


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def accept_and_hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await hang(reader)


@behaviour(Reason.CONNECTION_RESET, Reason.CLOSED_EARLY)
async def reset_on_accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


@behaviour(Reason.CONNECTION_RESET)
async def reset_after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


@behaviour(Reason.CONNECTION_RESET)
async def reset_mid_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK + b"Content-Length: 100\r\n\r\nhalf")
    await drip(writer, b"....")
    reset(writer)


@behaviour(Reason.CLOSED_EARLY)
async def close_without_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


@behaviour(Reason.CLOSED_EARLY)
async def half_close_without_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write_eof()
    await hang(reader)


@behaviour(200)
async def half_close_after_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK + b"\r\nended by the end")
    writer.write_eof()
    await hang(reader)


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True, body_bytes=32 * 1024 * 1024)
async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


@behaviour(413, body_bytes=32 * 1024 * 1024)
async def answer_before_reading_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
    await hang(reader)


@behaviour(Reason.MALFORMED_RESPONSE)
async def speak_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await hang(reader)


# -- too slow ----------------------------------------------------------------------------------------------------------


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await drip(writer, OK + b"X-Slow: " + b"a" * 4096)


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK + b"Content-Length: 4096\r\n\r\n")
    await drip(writer, b"a" * 4096)


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def drip_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await drip(writer, b"1\r\na\r\n" * 1000)


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def succeed_after_the_deadline(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.sleep(2)
    writer.write(OK + b"Content-Length: 0\r\n\r\n")


@behaviour(Reason.TIMEOUT_TOTAL, ends_at_deadline=True)
async def interim_answers_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 5)
    await hang(reader)


# -- too much ----------------------------------------------------------------------------------------------------------


@behaviour(Reason.RESPONSE_TOO_LARGE)
async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK, b"X-More: and more\r\n" * 100)


@behaviour(Reason.RESPONSE_TOO_LARGE)
async def endless_header_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK + b"X-Long: ", b"a" * 4096)


@behaviour(Reason.RESPONSE_TOO_LARGE)
async def endless_reason_phrase(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, b"HTTP/1.1 200 ", b"a" * 4096)


@behaviour(200, truncated=True)
async def endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK + b"\r\n", b"a" * 65536)


@behaviour(200, truncated=True)
async def endless_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"a" * 4096 + b"\r\n")


@behaviour(200, truncated=True)
async def ten_gigabytes_of_gzip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: 10737418240\r\n\r\n"
    await flood(writer, head, gzip.compress(bytes(1_000_000)))


@behaviour(Reason.RESPONSE_TOO_LARGE)
async def endless_chunk_extension(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536)


@behaviour(Reason.RESPONSE_TOO_LARGE)
async def endless_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await flood(writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X-Trailer: more\r\n" * 1000)


_ZEROS = gzip.compress(bytes(10_000_000))
answer(
    "gzip_bomb",
    200,
    data=OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_ZEROS) + _ZEROS,
)
answer("too_many_fields", Reason.RESPONSE_TOO_LARGE, data=OK + b"A: b\r\n" * 101 + b"\r\n")
answer("many_cookies", 200, data=OK + b"Set-Cookie: a=b\r\n" * 90 + b"Content-Length: 0\r\n\r\n")
answer(
    "interim_flood",
    Reason.TOO_MANY_INFORMATIONAL,
    data=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 6 + OK + b"Content-Length: 0\r\n\r\n",
)

# -- not HTTP/1.1 ------------------------------------------------------------------------------------------------------

_MALFORMED = {
    "http_0_9": b"<html>hello</html>\r\n",
    "http_0_9_status": b"HTTP/0.9 200 OK\r\n\r\n",
    "http_2_preface": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
    "http_2_status": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http_1_2_status": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "icy": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ssh_banner": b"SSH-2.0-OpenSSH_9.9\r\n",
    "smtp_banner": b"220 mail.example ESMTP\r\n",
    "redis_error": b"-ERR unknown command\r\n",
    "tls_alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "only_line_feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "leading_junk": b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status_999": b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n",
    "status_000": b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
    "status_2000": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status_text": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "length_and_chunked": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked_and_length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two_lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "two_equal_lengths": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "list_of_lengths": OK + b"Content-Length: 2, 2\r\n\r\nab",
    "negative_length": OK + b"Content-Length: -1\r\n\r\n",
    "overflowing_length": OK + b"Content-Length: 99999999999999999999999999\r\n\r\n",
    "hex_length": OK + b"Content-Length: 0x2\r\n\r\nab",
    "bad_chunk_size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "overflowing_chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "chunk_without_end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n",
    "nul_in_value": OK + b"A: b\x00c\r\nContent-Length: 0\r\n\r\n",
    "nul_in_name": OK + b"A\x00: b\r\nContent-Length: 0\r\n\r\n",
    "space_in_name": OK + b"A b: c\r\nContent-Length: 0\r\n\r\n",
    "space_before_colon": OK + b"Content-Length : 0\r\n\r\n",
    "no_colon": OK + b"Content-Length\r\n\r\n",
    "folded_header": OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "bare_return_in_value": OK + b"A: b\rX: c\r\nContent-Length: 0\r\n\r\n",
}
for _name, _data in _MALFORMED.items():
    answer(_name, Reason.MALFORMED_RESPONSE, data=_data)

answer(
    "upgrade", Reason.UNSUPPORTED_UPGRADE, data=b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx"
)
answer("upgrade_without_headers", Reason.UNSUPPORTED_UPGRADE, data=b"HTTP/1.1 101 Go\r\n\r\nx")
answer("unknown_coding_to_the_end", Reason.MALFORMED_RESPONSE, data=OK + b"Transfer-Encoding: br\r\n\r\nx", close=True)
answer("short_head", Reason.CLOSED_EARLY, data=b"HTTP/1.1 200 OK\r\nContent-Le", close=True)
answer("short_body", Reason.CLOSED_EARLY, data=OK + b"Content-Length: 10\r\n\r\nab", close=True)
answer("short_chunks", Reason.CLOSED_EARLY, data=OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", close=True)

# -- odd, but the answer stands ----------------------------------------------------------------------------------------

answer("continue_first", 200, data=b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok")
answer("body_longer_than_said", 200, data=OK + b"Content-Length: 2\r\n\r\nok and more")
answer("second_answer_behind", 200, data=OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 6\r\n\r\npoison")
answer("half_an_answer_behind", 200, data=OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 2")
answer("no_content_with_body", 204, data=b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
answer(
    "redirect_to_metadata",
    302,
    data=b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
)
answer("endless_redirect", 308, data=b"HTTP/1.1 308 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
answer("retry_never", 429, data=b"HTTP/1.1 429 Slow\r\nRetry-After: 1000000000\r\nContent-Length: 0\r\n\r\n")
answer("retry_in_the_past", 503, data=b"HTTP/1.1 503 Off\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n")
answer("retry_garbage", 503, data=b"HTTP/1.1 503 Off\r\nRetry-After: \xff\xfe soon\r\nContent-Length: 0\r\n\r\n")
answer(
    "latin_1_header",
    200,
    data=OK + b"X-Caf\xe9: no\r\n".replace(b"\xe9", b"e") + b"A: \xe9\r\nContent-Length: 0\r\n\r\n",
)
answer("utf_8_junk", 200, data=b"HTTP/1.1 200 \xf0\x9f\x8e\xa3\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\x80")
answer("no_reason_phrase", 200, data=b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")
answer("http_1_0_to_the_end", 200, data=b"HTTP/1.0 200 OK\r\n\r\nuntil I close", close=True)


# -- keeping them ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serve_act(act: Act, ssl: object = None) -> AsyncIterator[int]:
    """Run a behaviour for every connection to a port of 127.0.0.1; on leaving, everything of it is gone."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                await act(reader, writer)
                await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            tasks.discard(asyncio.current_task())  # type: ignore[arg-type]

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=ssl)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def serve(animal: Behaviour) -> contextlib.AbstractAsyncContextManager[int]:
    """Run one animal on a port of its own."""
    return serve_act(animal.act)


@contextlib.contextmanager
def listen_without_accepting() -> Iterator[int]:
    """A port whose queue is full: further connections are neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1]
