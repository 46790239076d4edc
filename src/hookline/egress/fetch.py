"""Requests to addresses that the operator wrote into a setting: a backend on the same machine or in the same network.

    connecting ──head sent──> awaiting the answer's head ──> streaming its body piece by piece ──end──> closed
    anywhere ──deadline, broken connection, no HTTP, head too long──> FetchError, closed

Such an address passes the address guard by, and nothing else does: whoever calls may choose the path behind it and the
body, never the host. One connection for each request, which is little beside what a model takes to answer; no
redirects, no proxy, no compression. A client of our own and not a library: the parser is the one that deliveries and
the server use, and this is all that is to be added to it, where a library would bring a second HTTP stack along.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

from hookline.egress.tls import build_context
from hookline.errors import HooklineError

CONNECT_TIMEOUT_S: Final = 10.0
MAX_HEAD_BYTES: Final = 65_536
PIECE_BYTES: Final = 65_536


class FetchError(HooklineError):
    """No usable answer came. The message names no address."""

    code = "fetch_failed"


class Fetched:
    """An answer whose head has come. Read it with `pieces` or `read`, and `close` it in any case."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline_s: float) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._reader = reader
        self._writer = writer
        self._deadline_s = deadline_s
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._head_bytes = 0
        self._pieces: list[bytes] = []
        self._complete = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it comes; the other side is read no faster than this is.

        Raises:
            FetchError: it broke off, or took longer than the deadline.
        """
        while True:
            waiting, self._pieces = self._pieces, []
            for piece in waiting:
                yield piece
            if self._complete:
                return
            await self._feed()

    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises FetchError also when it is longer than `max_bytes`."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > max_bytes:
                raise FetchError(f"The answer has more than {max_bytes} bytes.")
        return bytes(body)

    def close(self) -> None:
        self._writer.transport.abort()

    async def await_head(self) -> None:
        """Read until status and headers are there. Raises FetchError."""
        while not self.status:
            await self._feed()

    async def _feed(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline_s):
                data = await self._reader.read(PIECE_BYTES)
            if data:
                self._parser.feed_data(data)
        except TimeoutError as error:
            raise FetchError("The answer did not come in time.") from error
        except OSError as error:
            raise FetchError("The connection broke.") from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise FetchError("The answer is not valid HTTP/1.1.") from error
        if not data:
            if self.status and not self._is_framed:
                self._complete = True
            elif not self._complete:
                raise FetchError("The connection was closed before the answer was complete.")
        elif not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise FetchError("The answer's head is too long.")

    @property
    def _is_framed(self) -> bool:
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    # The parser

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # behind a chunked body, these are trailers
            self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status, self.headers = status, self._fields
        else:
            self._fields = {}  # an interim answer

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._complete = bool(self.status)


class Fetcher:
    """Opens requests. It keeps nothing open; `extra_ca_pem` is trusted beside the system's authorities."""

    def __init__(self, extra_ca_pem: str | None = None) -> None:
        self._extra_ca_pem = extra_ca_pem
        self._tls: ssl.SSLContext | None = None

    async def open(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, timeout_s: float
    ) -> Fetched:
        """Send a request; its answer's head. `timeout_s` is for everything, to the last byte of the answer.

        Raises:
            FetchError: nobody answered, or not in HTTP, or not in time.
        """
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        parts = urlsplit(url)
        assert parts.hostname is not None
        head = _write_head(method, parts, headers, len(body))
        context = await self._context() if parts.scheme == "https" else None
        port = parts.port or (443 if context else 80)
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT_S, timeout_s)):
                reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context, limit=PIECE_BYTES)
        except TimeoutError as error:
            raise FetchError("No connection could be made in time.") from error
        except OSError as error:  # SSLError is one
            raise FetchError("No connection could be made.") from error
        fetched = Fetched(reader, writer, deadline_s)
        try:
            writer.write(head + body)
            async with asyncio.timeout_at(deadline_s):
                await writer.drain()
            await fetched.await_head()
        except TimeoutError as error:
            fetched.close()
            raise FetchError("The request could not be sent in time.") from error
        except OSError as error:
            fetched.close()
            raise FetchError("The connection broke.") from error
        except BaseException:
            fetched.close()
            raise
        return fetched

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            loop = asyncio.get_running_loop()
            self._tls = await loop.run_in_executor(None, build_context, None, self._extra_ca_pem)
        return self._tls


def _write_head(method: str, url: SplitResult, headers: Sequence[tuple[str, str]], size: int) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = url.netloc.rpartition("@")[2]
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if method != "GET":
        lines.append(f"Content-Length: {size}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1:
        raise FetchError("A header has a line break.")
    return f"{text}\r\n\r\n".encode("latin-1")
