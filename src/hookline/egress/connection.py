"""One HTTP/1.1 connection: writes one request, reads one answer, and is then reusable or gone.

States: idle (no exchange) -> `begin` -> waiting for the head -> reading the body -> settled, which is idle again or
closed. Any byte that arrives while idle closes it: nobody asked for it, and it would be read as the next answer.

The parser calls back for the head, the body and the ends of messages, but not for single header fields: the raw head is
kept and read only if somebody asks. What the parser does not limit is limited here: head, fields, interim answers,
body, and everything that is none of these (chunk extensions, trailers).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from hookline.egress.headers import parse_head
from hookline.egress.reasons import SENTENCES, Reason
from hookline.egress.tls import explain
from hookline.egress.transport import Failure, Response

if TYPE_CHECKING:
    from hookline.egress.exchange import Exchange
    from hookline.egress.policy import Limits
    from hookline.egress.pool import Host

_JOIN_UP_TO_BYTES: Final = 16 * 1024
"""Head and body go out in one write up to this size; above it the copy costs more than the second write."""


class Owner(Protocol):
    """Whom a connection tells how it went. `connection.exchange` is already None."""

    def on_answered(
        self, connection: Connection, exchange: Exchange, response: Response, *, reusable: bool
    ) -> None: ...

    def on_failed(self, connection: Connection, exchange: Exchange, failure: Failure, *, silent: bool) -> None:
        """`silent`: a connection that had served before broke before one byte of this answer."""

    def on_lost(self, connection: Connection) -> None: ...


class _StopParsing(Exception):  # noqa: N818
    """Leaves the parser's callbacks; what is wrong is in `_problem`."""


class Connection(asyncio.Protocol):
    """The protocol object behind one socket to one vetted address."""

    __slots__ = (
        "_body", "_body_size", "_complete", "_head", "_informational", "_keep_alive", "_limits", "_max_wire_bytes",
        "_owner", "_parser", "_problem", "_raw", "_received", "_status", "_transport",
        "counted", "exchange", "host", "idle_since_s", "remote", "served", "spoke_first", "vetted_at_s",
    )  # fmt: skip

    def __init__(self, owner: Owner, host: Host, remote: str, limits: Limits) -> None:
        self._owner = owner
        self._limits = limits
        self._max_wire_bytes = limits.max_head_bytes + limits.max_body_bytes + limits.max_framing_bytes
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self.host = host
        self.remote = remote
        self.exchange: Exchange | None = None
        self.served = 0
        self.spoke_first = False
        """Bytes came before the first request: another protocol, such as SSH or SMTP."""
        self.vetted_at_s = time.monotonic()
        self.idle_since_s = 0.0
        self.counted = False
        """Whether it holds a place in the pool's count; set when it is handed over open."""
        self._reset()

    def _reset(self) -> None:
        self._raw = b""
        self._head = b""
        self._body = b""
        self._body_size = 0
        self._received = 0
        self._informational = 0
        self._status = 0
        self._complete = False
        self._keep_alive = False
        self._problem: Reason | None = None

    # -- what the client does ------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> None:
        """Send this request. The connection must be idle and usable."""
        if self.served:
            self._reset()
        self.exchange = exchange
        exchange.connection = self
        transport = cast("asyncio.Transport", self._transport)
        body = exchange.request.body
        if len(body) <= _JOIN_UP_TO_BYTES:
            transport.write(exchange.head + body)
        else:
            transport.write(exchange.head)
            transport.write(body)

    def abandon(self) -> int:
        """Forget the request on it and close at once. Gives the bytes received for that request."""
        self.exchange = None
        self.abort()
        return self._received

    def abort(self) -> None:
        """Close without waiting for anything: what is unread or unsent is of no use any more."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # -- what the loop calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if self.exchange is None or parser is None:
            self.spoke_first = not self.served
            self.abort()
            return
        self._received += len(data)
        if not self._status:
            self._raw = self._raw + data if self._raw else data
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # After the end of the answer this is only junk behind it: the answer stands, the connection does not.
            self._keep_alive = False
            if not self._complete and self._problem is None:
                self._problem = Reason.MALFORMED_RESPONSE
        if self._complete:
            self._answer(reusable=self._keep_alive)
        elif self._problem is not None:
            self._fail(self._problem)
        elif self._body_size > self._limits.max_body_bytes:
            # Failure policy: open. The status is known and is what counts; the rest of the body is lost.
            self._answer(reusable=False)
        elif (not self._status and self._received > self._limits.max_head_bytes) or (
            self._received > self._max_wire_bytes
        ):
            self._fail(Reason.RESPONSE_TOO_LARGE)

    def eof_received(self) -> None:
        if self.exchange is not None:
            self._end_of_stream()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        # The parser holds bound methods of this object: without this the pair waits for the garbage collector.
        self._parser = None
        if self.exchange is not None:
            if exc is None:
                self._end_of_stream()
            elif isinstance(exc, ssl.SSLError):
                self._fail(Reason.TLS, explain(exc))
            else:
                self._fail(Reason.CONNECTION_RESET)
        self._transport = None
        self._owner.on_lost(self)

    # -- what the parser calls -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            # A second answer begins behind the first: nothing on this connection can be trusted any more.
            self._keep_alive = False
            raise _StopParsing

    def on_headers_complete(self) -> None:
        raw, limits = self._raw, self._limits
        end = raw.find(b"\r\n\r\n") + 4
        if self._received > limits.max_head_bytes and self._received - len(raw) + end > limits.max_head_bytes:
            self._stop(Reason.RESPONSE_TOO_LARGE)
        if raw.count(b"\r\n", 0, end) - 2 > limits.max_header_fields:
            self._stop(Reason.RESPONSE_TOO_LARGE)
        status = cast("httptools.HttpResponseParser", self._parser).get_status_code()
        if not raw.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or not 100 <= status <= 599:
            self._stop(Reason.MALFORMED_RESPONSE)
        if status < 200:
            self._skip_informational(status, raw[end:])
            return
        self._status = status
        self._head = raw[:end]
        self._raw = b""
        if self.exchange is not None and self.exchange.request.method == "HEAD":
            self._complete = True

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        most = self.exchange.request.excerpt_bytes if self.exchange is not None else None
        room = (self._limits.max_excerpt_bytes if most is None else most) - len(self._body)
        if room > 0:
            self._body = self._body + body[:room] if self._body else body[:room]

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True
            self._keep_alive = cast("httptools.HttpResponseParser", self._parser).should_keep_alive()

    def _skip_informational(self, status: int, rest: bytes) -> None:
        if status == 101:
            self._stop(Reason.UNSUPPORTED_UPGRADE)
        self._informational += 1
        if self._informational > self._limits.max_informational:
            self._stop(Reason.TOO_MANY_INFORMATIONAL)
        self._raw = rest

    def _stop(self, reason: Reason) -> None:
        self._problem = reason
        raise _StopParsing

    # -- how it ends ---------------------------------------------------------------------------------------------------

    def _answer(self, *, reusable: bool) -> None:
        exchange = cast("Exchange", self.exchange)
        self.exchange = None
        self.served += 1
        response = Response(
            self._status,
            self._body,
            self._body_size > len(self._body),
            (time.monotonic() - exchange.started_s) * 1000,
            self.remote,
            self._head,
            self._received,
        )
        transport = self._transport
        if transport is None or transport.is_closing():
            reusable = False
        elif not reusable or transport.get_write_buffer_size():
            # An answer that came before the whole request was sent leaves the rest of it in the way.
            reusable = False
            transport.abort()
        self._owner.on_answered(self, exchange, response, reusable=reusable)

    def _fail(self, reason: Reason, detail: str = "") -> None:
        exchange = cast("Exchange", self.exchange)
        silent = self.served > 0 and self._received == 0
        self.exchange = None
        self.abort()
        failure = Failure(
            reason, detail or SENTENCES[reason], (time.monotonic() - exchange.started_s) * 1000, self._received
        )
        self._owner.on_failed(self, exchange, failure, silent=silent)

    def _end_of_stream(self) -> None:
        """The other side has ended: the proper end of an answer without a length, and of nothing else."""
        if not self._status:
            self._fail(Reason.CLOSED_EARLY)
            return
        fields = parse_head(self._head)
        if "content-length" in fields or "chunked" in fields.get("transfer-encoding", ""):
            self._fail(Reason.CLOSED_EARLY)
        elif "transfer-encoding" in fields:
            self._fail(Reason.MALFORMED_RESPONSE)
        else:
            self._answer(reusable=False)
