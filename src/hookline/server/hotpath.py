"""The hot route, answered before the framework: the connection's protocol, with one request taken out of its way.

    headers complete ──`POST /api/v1/app/{app}/msg`, admitted──> body collected ──> route ──> written
                    └──anything else────────────────────────────> ASGI, as always

A request costs some 19 us here and 190 us through the framework (measured on two shared cores), and this is the one
that counts. What is taken stays small: no upgrade, no `Expect`, nothing pipelined behind an unanswered request, nothing
from a caller that does not read its answers; all of that goes the long way and gets the same answer, because both ways
call the same service and render with the same code.

While the answer is pending, the exchange stands where uvicorn keeps its cycle, so its pipelining, its keep-alive timer
and its graceful shutdown work unchanged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from hookline.server.connection import GuardedProtocol

HOT_PATH: Final = re.compile(rb"/api/v1/app/([A-Za-z0-9_.\-]{1,256})/msg/?(?:\?([^#]*))?")
Headers = Sequence[tuple[bytes, bytes]]


T = TypeVar("T")


class Exchange(Generic[T]):
    """One hot request and its answer. Stands in for uvicorn's `RequestResponseCycle` while it is open."""

    __slots__ = (
        "_protocol",
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "query",
        "response_complete",
        "ticket",
        "too_large",
    )

    def __init__(self, protocol: HotProtocol, ticket: T, query: bytes, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.ticket = ticket
        self.query = query
        self.keep_alive = keep_alive
        self.body = b""
        self.too_large = False
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NOBODY_WAITS

    def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Write the response, once. A caller that is gone is no error: its message stays accepted."""
        if self.response_complete:
            return
        self.response_complete = True
        if not self.disconnected and not self._protocol.transport.is_closing():
            self._protocol.write_answer(self, status, body, headers)


class HotRoute(Protocol):
    """Who admits and answers. A call must lead to `exchange.answer` exactly once, now or later."""

    max_body_bytes: int

    def admit(self, application: bytes, headers: Headers) -> Any | None:
        """A ticket that the exchange will carry, or None: this request goes the long way."""

    def __call__(self, exchange: Exchange[Any]) -> None: ...


class _NobodyWaits:
    """uvicorn wakes the reader of a cycle's body through an event; here nobody reads piece by piece."""

    def set(self) -> None:
        return None


_NOBODY_WAITS: Final = _NobodyWaits()


class HotProtocol(GuardedProtocol):
    """Made for one route: `protocol_class(route)` gives uvicorn its `http=` class."""

    route: HotRoute

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._hot: Exchange[Any] | None = None
        self._size = 0
        self._pieces: bytearray | None = None  # of a body that came in more than one

    # Parser callbacks. The framework's scope is only made for requests that go to it.

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._hot = None
        self.begin_message()

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"POST":
            match = HOT_PATH.fullmatch(self.url)
            if match is not None and self._may_be_hot():
                ticket = self.route.admit(match[1], self.headers)
                if ticket is not None:
                    self._hot = Exchange(self, ticket, match[2] or b"", keep_alive=self.parser.should_keep_alive())
                    self.cycle = self._hot  # type: ignore[assignment]
                    self._size = 0
                    self._pieces = None
                    self.end_head()
                    return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = expects
        super().on_headers_complete()

    def _may_be_hot(self) -> bool:
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
            and not self.flow.write_paused
        )

    def on_body(self, body: bytes) -> None:
        hot = self._hot
        if hot is None:
            super().on_body(body)
            return
        self.count_body(len(body))
        self._size += len(body)
        if self._size > self.route.max_body_bytes:
            self._refuse_large(hot)
        elif not hot.body:
            hot.body = body
        else:  # a body in many pieces must not be copied for each of them
            if self._pieces is None:
                self._pieces = bytearray(hot.body)
            self._pieces += body

    def _refuse_large(self, hot: Exchange[Any]) -> None:
        """More than we will hold: answered at once, and what still comes of the body is thrown away."""
        if not hot.too_large:
            hot.too_large = True
            hot.body = b""
            self._pieces = None
            self.route(hot)

    def on_message_complete(self) -> None:
        hot = self._hot
        if hot is None:
            super().on_message_complete()
            return
        self._hot = None
        self.end_message()
        if not hot.too_large:
            if self._pieces is not None:
                hot.body = bytes(self._pieces)
                self._pieces = None
            self.route(hot)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A caller that has said all it had to say may still wait for its answer."""
        cycle = self.cycle
        if isinstance(cycle, Exchange) and not cycle.response_complete and self._hot is None:
            cycle.keep_alive = False
            return True
        super().eof_received()
        return None

    # The answer

    def write_answer(self, exchange: Exchange[Any], status: int, body: bytes, headers: Headers) -> None:
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        for name, value in headers:
            head += (name, b": ", value, b"\r\n")
        head.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
        if not exchange.keep_alive:
            head.append(b"connection: close\r\n")
        head += (b"\r\n", body)
        self.transport.write(b"".join(head))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol_class(route: HotRoute, *, receive_timeout_s: float) -> type[HotProtocol]:
    """A protocol class for `uvicorn.Config(http=...)` that hands the hot route's requests to `route`."""
    return type("HotRouteProtocol", (HotProtocol,), {"route": route, "receive_timeout_s": receive_timeout_s})
