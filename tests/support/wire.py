"""Speaking HTTP to a server byte by byte, for what no HTTP client would send."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable
from typing import Any, Self

PATIENCE_S = 20


class Answer:
    """One answer as it came over the wire."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.body[:200]!r})"


class Wire:
    """A connection. `send` pieces as separate segments; `answers` reads until so many came or the server closed."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.closed = False

    def send(self, *pieces: bytes) -> Self:
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def answers(self, count: int = 1) -> list[Answer]:
        found: list[Answer] = []
        while len(found) < count:
            answer = self._take()
            if answer is not None:
                found.append(answer)
            elif not self._read():
                break
        return found

    def is_closed(self) -> bool:
        """Wait for the server to close; False when it sends something instead."""
        return not self._buffer and not self._read()

    def _read(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self.closed = not data
        return bool(data)

    def _take(self) -> Answer | None:
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        if len(rest) < size:
            return None
        self._buffer = rest[size:]
        return Answer(status, headers, rest[:size])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()


def request(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", version: str = "1.1"
) -> bytes:
    """The bytes of a request, with a Content-Length when it has a body and the headers do not say otherwise."""
    lines = [("host", "test"), *headers]
    named = {name.lower() for name, _ in lines}
    if body and not named & {"content-length", "transfer-encoding"}:
        lines.append(("content-length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode("latin-1") + body


def chunked(body: bytes, size: int, trailers: bytes = b"") -> bytes:
    """A body in chunks of so many bytes."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"
