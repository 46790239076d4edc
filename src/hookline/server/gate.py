"""The outermost layer: request ids, the cap on bodies, one spelling of each path, and a last net for our own faults.

Bodies are capped before anybody reads them: by Content-Length at once, and by counting while they arrive. When the cap
is passed, whatever the application answers becomes a 413. The rest of a moderately long body is left to the connection
to discard, so that a client that writes first and reads afterwards gets to see why; one that is announced to be longer
is not even begun, and an endless one is cut off there.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hookline.server.connection import MAX_DISCARDED_BYTES
from hookline.server.errors import ErrorAnswer, internal_error, too_large

log = logging.getLogger("hookline.server")

REQUEST_ID_HEADER: Final = b"x-request-id"
USABLE_ID: Final = re.compile(rb"[A-Za-z0-9_.:\-]{1,128}")


class BodyTooLargeError(Exception):
    """Raised into the application that goes on reading; the answer is a 413 whatever it makes of it."""


class Gate:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _read_request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        if len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"
        await _Exchange(self._app, scope, receive, send, request_id, self._max_body_bytes).run()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, request_id: str, max_body_bytes: int
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._max_body_bytes = max_body_bytes
        self._received_bytes = 0
        self._too_large = False
        self._started = False

    async def run(self) -> None:
        announced = _read_content_length(self._scope)
        if announced is not None and announced > self._max_body_bytes:
            await self._refuse_body(close=announced > MAX_DISCARDED_BYTES)
            return
        try:
            await self._app(self._scope, self._read, self._write)
        except BodyTooLargeError:
            pass
        except Exception:
            # Failure policy: closed for this request, open for the server. The fault is ours and is in the log.
            log.exception(
                "request failed",
                extra={"action": "request_failed", "request_id": self._request_id, "path": self._scope["path"]},
            )
            if self._started:
                raise
            await self._answer(internal_error(self._scope["path"]))
        if self._too_large and not self._started:
            await self._refuse_body(close=False)

    async def _read(self) -> Message:
        if self._too_large:
            raise BodyTooLargeError
        message = await self._receive()
        if message["type"] == "http.request":
            self._received_bytes += len(message.get("body", b""))
            if self._received_bytes > self._max_body_bytes:
                self._too_large = True
                raise BodyTooLargeError
        return message

    async def _write(self, message: Message) -> None:
        if self._too_large and not self._started:
            return  # replaced by the 413 in `run`
        if message["type"] == "http.response.start":
            self._started = True
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, self._request_id.encode())]
        await self._send(message)

    async def _refuse_body(self, *, close: bool) -> None:
        await self._answer(
            too_large(self._max_body_bytes, self._scope["path"]), [(b"connection", b"close")] if close else []
        )

    async def _answer(self, answer: ErrorAnswer, extra: list[tuple[bytes, bytes]] | None = None) -> None:
        self._started = True
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        headers += [
            *(extra or ()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer.body)).encode()),
            (REQUEST_ID_HEADER, self._request_id.encode()),
        ]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": answer.body})


def _read_request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and USABLE_ID.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(12)


def _read_content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
