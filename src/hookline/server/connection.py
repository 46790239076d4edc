"""One caller's connection: uvicorn's protocol, with bounds on what a caller can make us hold and for how long.

    connected ──first byte──> receiving ──request complete──> between requests ──first byte──> receiving ...
    connected ──nothing within the limit──> closed
    receiving ──longer than the limit──> 408, closed
    receiving ──head too long, or not HTTP──> 431 or 400, closed
    anything ──the caller does not read its answers for as long──> cut

Whoever is refused has no request to be known by, so all of this is cheap: one timer for each connection that owes us
the rest of a request, none for a request that arrives in one piece. A refusal waits for the answers to the requests
before it, so that nobody takes it for one of those. After it we only half-close and read on for a moment: closing at
once would make the system reset the connection, and the caller might never see why.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from hookline.server.errors import ErrorAnswer, write_error

MAX_HEAD_BYTES: Final = 65_536
HEADER_OVERHEAD_BYTES: Final = 32  # what a header costs beside its text, as HTTP/2 counts it (RFC 9113, section 6.5.2)
MAX_DISCARDED_BYTES: Final = 32 * 1_048_576  # of a body that came after its answer
LINGER_S: Final = 1.0

_UPGRADE_HEADERS: Final = frozenset({b"upgrade", b"http2-settings"})

_NOT_HTTP: Final = write_error(400, "generic_error", "This is not a valid HTTP/1.1 request.")
_NO_TUNNEL: Final = write_error(405, "method_not_allowed", "This server opens no tunnels.")
_LATE: Final = write_error(408, "request_timeout", "The request did not arrive in time. Send it again, faster.")
_LONG_HEAD: Final = write_error(
    431, "headers_too_large", f"URL and headers have more than {MAX_HEAD_BYTES} bytes. Send less of them."
)


class HeadTooLongError(Exception):
    """Raised through the parser, which stops there."""


class GuardedProtocol(HttpToolsProtocol):
    """What every connection of ours is, whichever route its requests take."""

    receive_timeout_s: float = 60.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._receiving = False  # between a request's first byte and its last
        self._in_head = False
        self._head_bytes = 0
        self._unread_bytes = 0  # received since the parser last made something of it
        self._discarded_bytes = 0
        self._refused = False  # nothing that comes in is looked at any more
        self._refusal: ErrorAnswer | None = None  # to be written after the answers that are still owed
        self._receive_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # The transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._receive_timer = self.loop.call_later(self.receive_timeout_s, self._on_late)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._cancel_timers()

    def _cancel_timers(self) -> None:
        for timer in (self._receive_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._receive_timer = self._write_timer = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._unread_bytes += len(data)
        if not self._parse(data):
            return
        if self._unread_bytes > MAX_HEAD_BYTES:
            self._refuse(_LONG_HEAD)
        elif self._receiving:
            if self._receive_timer is None:
                self._receive_timer = self.loop.call_later(self.receive_timeout_s, self._on_late)
        elif self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _parse(self, data: bytes) -> bool:
        """Feed the parser; False when that was the end."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as error:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return False
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(_NO_TUNNEL)
                    return False
                data = self._without_upgrade() + data[error.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(_LONG_HEAD if isinstance(error.__context__, HeadTooLongError) else _NOT_HTTP)
                return False
            else:
                return True

    def _without_upgrade(self) -> bytes:
        """A request's head once more, for a new parser, without the wish for another protocol.

        The parser takes whatever follows such a head for the other protocol's, its body included, and would read the
        next piece as a request of its own.
        """
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                kept = b", ".join(token for token in tokens if token.lower() not in _UPGRADE_HEADERS)
                head += [b"connection: " + kept] if kept else []
            elif name not in _UPGRADE_HEADERS:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join(head) + b"\r\n\r\n"

    def _is_upgrade(self) -> bool:
        """Whether the parser stops at this request, which is then read again."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        self._cancel_timers()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.receive_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def timeout_keep_alive_handler(self) -> None:
        """Idle for too long. Whoever has not even read its last answer is not waited for."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    # The parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.begin_message()

    def begin_message(self) -> None:
        """What a new request begins with, for those who do without uvicorn's scope."""
        self._receiving = self._in_head = True
        self._head_bytes = self._discarded_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLongError
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # In place of uvicorn's, not around it: this runs for every header of every message.
        self._head_bytes += len(name) + len(value) + HEADER_OVERHEAD_BYTES
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLongError
        if self._in_head:  # behind a chunked body, these are trailers: they must not pass for headers
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.end_head()
        if not self._is_upgrade():
            super().on_headers_complete()

    def end_head(self) -> None:
        self._in_head = False
        self._unread_bytes = 0

    def on_body(self, body: bytes) -> None:
        self.count_body(len(body))
        super().on_body(body)

    def count_body(self, size: int) -> None:
        """A piece of a body has come. One that nobody waits for is only let in for so long."""
        self._unread_bytes = 0
        if self.cycle.response_complete:
            self._discarded_bytes += size
            if self._discarded_bytes > MAX_DISCARDED_BYTES:
                self._refused = True
                self.transport.abort()

    def on_message_complete(self) -> None:
        self.end_message()
        if not self._is_upgrade():
            super().on_message_complete()

    def end_message(self) -> None:
        self._receiving = False
        self._unread_bytes = 0

    # Refusals

    def _on_late(self) -> None:
        self._receive_timer = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is we who do not read on: the requests before it come first
            self._receive_timer = self.loop.call_later(self.receive_timeout_s, self._on_late)
        elif self._receiving:
            self._refuse(_LATE)
        else:
            self.transport.close()

    def _refuse(self, answer: ErrorAnswer) -> None:
        """Take nothing more from this connection, and say why as soon as that cannot be misunderstood."""
        self._refused = True
        cycle = self.cycle
        if cycle is None:
            self._write_refusal(answer)
        elif self._receiving and not self._in_head:  # the body of the newest request is what is wrong
            if cycle.response_complete:
                self._close_gently()  # answered before its end
                return
            if self.pipeline:  # not begun: others are before it
                self.pipeline.popleft()
                self._refusal = answer
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if getattr(cycle, "response_started", False):
                self.transport.close()
            else:
                self._write_refusal(answer)
        elif cycle.response_complete:
            self._write_refusal(answer)
        else:
            self._refusal = answer

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal is not None and not self.transport.is_closing():
            self._write_refusal(self._refusal)

    def _write_refusal(self, answer: ErrorAnswer) -> None:
        head = [STATUS_LINE[answer.status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        head.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(answer.body))
        self.transport.write(b"".join((*head, b"connection: close\r\n\r\n", answer.body)))
        self._close_gently()

    def _close_gently(self) -> None:
        self._refused = True
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
            self.loop.call_later(LINGER_S, self._hang_up, self.loop.time() + self.receive_timeout_s)
        else:
            self.transport.close()

    def _hang_up(self, latest_s: float) -> None:
        if self.transport.get_write_buffer_size() and self.loop.time() < latest_s:
            self.loop.call_later(LINGER_S, self._hang_up, latest_s)
        else:
            self.transport.abort()
