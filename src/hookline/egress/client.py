"""The delivery client: HTTP/1.1 over pooled connections, callback style, one absolute deadline for each request.

The way of a request: `start` parses and judges the URL (remembered per URL) and writes the head. Then the first that
applies: an idle connection of its host carries it at once; a task dials a new one; it waits in its host's queue. It
ends by an answer, a failure, its deadline, `cancel` or `abort_all`, whichever comes first, and its callback is called
once.

A request on a reused connection that breaks before one byte of the answer is sent once more on a fresh one: servers
close idle connections whenever they like, and the receiver tells a duplicate by its `webhook-id`. Nothing else is
repeated here; retries are the engine's.

On the way through an idle connection a request costs no task, no future and no timer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from hookline.egress.connection import Connection
from hookline.egress.deadlines import Deadlines
from hookline.egress.dialer import Dialer, DialError
from hookline.egress.exchange import Exchange
from hookline.egress.headers import HeaderRefused, HeaderWriter
from hookline.egress.policy import EgressPolicy
from hookline.egress.pool import Host, Origin, Pool
from hookline.egress.reasons import Reason
from hookline.egress.resolver import Resolver, SystemResolver
from hookline.egress.transport import Failure, Outcome, Request, Response, TlsOptions
from hookline.egress.url import Target, UrlRefused, parse_url
from hookline.egress.waiting import send_and_wait

METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"})
_ALWAYS_WITH_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
_MAX_ROUTES: Final = 16_384
_IDLE_SWEEP_S: Final = 5.0


class _Route:
    """What is known about an URL after its first use."""

    __slots__ = ("beginnings", "host", "target")

    def __init__(self, target: Target, host: Host) -> None:
        self.target = target
        self.host = host
        self.beginnings: dict[str, bytes] = {}

    def beginning(self, method: str) -> bytes:
        """Everything of the head that is the same for every request."""
        beginning = self.beginnings.get(method)
        if beginning is None:
            request_line = f"{method} {self.target.path_and_query} HTTP/1.1"
            lines = f"{request_line}\r\nHost: {self.target.authority}\r\nAccept-Encoding: identity\r\n"
            beginning = self.beginnings[method] = lines.encode("ascii")
        return beginning


class HttpTransport:
    """The real `Transport`. Make it inside a running loop; it belongs to that loop."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver | None = None) -> None:
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver or SystemResolver(timeout_s=policy.dns_timeout_s)
        self._pool = Pool(policy)
        self._dialer = Dialer(policy, self._resolver, self)
        self._writer = HeaderWriter()
        self._deadlines: Deadlines[Exchange] = Deadlines(self._loop, self._on_overdue)
        self._routes: dict[tuple[str, TlsOptions | None], _Route] = {}
        self._dials: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._connections: set[Connection] = set()
        self._all_lost = asyncio.Event()
        self._closed = False

    @property
    def open_connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._connections)

    # -- the Transport protocol ----------------------------------------------------------------------------------------

    def start(self, request: Request, on_done: Callable[[Outcome], None]) -> Exchange:
        now_s = time.monotonic()
        exchange = Exchange(self, request, on_done, now_s)
        if self._closed:
            self._finish_later(exchange, Failure(Reason.CANCELED))
            return exchange
        if request.method not in METHODS:
            self._finish_later(exchange, Failure(Reason.INVALID_REQUEST))
            return exchange
        try:
            route = self._routes.get((request.url, request.tls)) or self._find_route(request)
            exchange.head = self._write_head(route, request)
        except UrlRefused as error:
            self._finish_later(exchange, Failure(error.reason, str(error)))
            return exchange
        except HeaderRefused as error:
            self._finish_later(exchange, Failure(Reason.INVALID_HEADER, str(error)))
            return exchange
        host = route.host
        if host.retired:
            host = route.host = self._pool.host(host.origin)
        exchange.host = host
        exchange.target = route.target
        exchange.bucket = self._deadlines.add(exchange, now_s + request.timeout_s)
        connection = self._pool.take(host)
        if connection is not None:
            connection.begin(exchange)
        else:
            self._dial_or_wait(exchange)
        return exchange

    async def send(self, request: Request) -> Outcome:
        return await send_and_wait(self, request)

    def abort_all(self, reason: Reason) -> None:
        for exchange in self._deadlines:
            self._cut(exchange, reason)

    async def close(self) -> None:
        self._closed = True
        self.abort_all(Reason.CANCELED)
        self._pool.discard_all()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._deadlines.close()
        while self._dials:
            await asyncio.wait(self._dials)
        while self._connections:
            self._all_lost.clear()
            await self._all_lost.wait()
        self._resolver.close()

    def cancel(self, exchange: Exchange) -> None:
        """What `Handle.cancel` does."""
        self._cut(exchange, Reason.CANCELED)

    # -- starting ------------------------------------------------------------------------------------------------------

    def _find_route(self, request: Request) -> _Route:
        target = parse_url(request.url, self._policy)
        host = Host(Origin(target.scheme, target.host, target.port, request.tls))
        # Not the pool's yet: the first request that really goes out asks the pool for the host it shares with others.
        host.retired = True
        if len(self._routes) >= _MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        route = self._routes[request.url, request.tls] = _Route(target, host)
        return route

    def _write_head(self, route: _Route, request: Request) -> bytes:
        method, size = request.method, len(request.body)
        beginning = route.beginning(method)
        fields = self._writer.write(request.headers)
        if size or method in _ALWAYS_WITH_LENGTH:
            return b"%b%bContent-Length: %d\r\n\r\n" % (beginning, fields, size)
        return b"%b%b\r\n" % (beginning, fields)

    def _dial_or_wait(self, exchange: Exchange) -> None:
        assert exchange.host is not None
        if self._pool.reserve(exchange.host):
            self._dial(exchange)
        else:
            self._pool.wait(exchange.host, exchange, first=exchange.retried)

    def _dial(self, exchange: Exchange) -> None:
        """Dial for a request whose place in the pool is reserved."""
        task = self._loop.create_task(self._run_dial(exchange))
        exchange.dial = task
        exchange.holds_place = True
        self._dials.add(task)
        task.add_done_callback(lambda done: self._on_dial_ended(exchange, done))

    async def _run_dial(self, exchange: Exchange) -> None:
        host, target = exchange.host, exchange.target
        assert host is not None
        assert target is not None
        try:
            addresses = await self._dialer.vet(target)
            self._pool.revet(host, addresses)
            connection = None if exchange.retried else self._pool.take(host, just_vetted=True)
            if connection is not None:
                # It has a place of its own; the reserved one is free for another.
                exchange.holds_place = False
                self._pool.release(host)
                self._dial_for_next(host)
            else:
                connection = await self._connect(host, target, addresses)
                # From here on the connection itself holds the reserved place, and gives it back when it is lost.
                exchange.holds_place = False
                connection.counted = True
                self._connections.add(connection)
        except DialError as error:
            self._finish(exchange, self._failure(exchange, error.reason, str(error)))
            return
        if exchange.done:
            self._free(connection)
        else:
            connection.begin(exchange)

    async def _connect(self, host: Host, target: Target, addresses: Sequence[str]) -> Connection:
        connection = await self._dialer.connect(host, target, addresses)
        if not connection.usable:
            raise DialError(Reason.MALFORMED_RESPONSE if connection.spoke_first else Reason.CLOSED_EARLY)
        return connection

    def _on_dial_ended(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step never runs a line of its own.
        self._dials.discard(task)
        if exchange.dial is task:
            exchange.dial = None
            if exchange.holds_place and exchange.host is not None:
                exchange.holds_place = False
                self._pool.release(exchange.host)
                self._dial_for_next(exchange.host)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Failure policy: an error of our own making must not leave the engine waiting for an outcome.
        self._loop.call_exception_handler(
            {"message": "hookline: dialing failed unexpectedly", "exception": error, "task": task}
        )
        self._finish(exchange, self._failure(exchange, Reason.CONNECT))

    # -- what connections tell -----------------------------------------------------------------------------------------

    def on_answered(self, connection: Connection, exchange: Exchange, response: Response, *, reusable: bool) -> None:
        # The connection first: what the callback starts may then use it.
        if reusable:
            self._free(connection)
        self._finish(exchange, response)

    def on_failed(self, connection: Connection, exchange: Exchange, failure: Failure, *, silent: bool) -> None:  # noqa: ARG002
        if silent and not exchange.retried and not self._closed and failure.reason is not Reason.TLS:
            exchange.retried = True
            exchange.connection = None
            self._dial_or_wait(exchange)
        else:
            self._finish(exchange, failure)

    def on_lost(self, connection: Connection) -> None:
        # One that was never taken over, because its dial was cancelled on the last step, is in none of our books; not
        # every loop even tells us that it is gone.
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if not self._connections:
            self._all_lost.set()
        self._pool.forget(connection)
        self._dial_for_next(connection.host)

    def _free(self, connection: Connection) -> None:
        """Give an idle connection to whoever waits for it, or keep it."""
        if self._closed or not connection.usable:
            connection.abort()
            return
        host = connection.host
        if host.waiting and time.monotonic() - connection.vetted_at_s > self._policy.max_vetted_age_s:
            connection.abort()
            return
        exchange = self._pool.next_for(host)
        if exchange is not None:
            connection.begin(exchange)
            return
        self._pool.put(connection)
        if self._pool.is_short_of_room:
            self._dial_for_next(host)
        if self._sweep is None:
            self._sweep = self._loop.call_later(min(_IDLE_SWEEP_S, self._policy.max_idle_s), self._sweep_idle)

    def _dial_for_next(self, host: Host) -> None:
        if not self._closed and (exchange := self._pool.next_to_dial(host)) is not None:
            self._dial(exchange)

    def _sweep_idle(self) -> None:
        self._sweep = None
        if self._pool.discard_old():
            self._sweep = self._loop.call_later(min(_IDLE_SWEEP_S, self._policy.max_idle_s), self._sweep_idle)

    # -- ending --------------------------------------------------------------------------------------------------------

    def _on_overdue(self, exchange: Exchange) -> None:
        self._cut(exchange, Reason.TIMEOUT_TOTAL)

    def _cut(self, exchange: Exchange, reason: Reason) -> None:
        """End a request from outside, wherever it stands. The callback comes on the loop's next turn."""
        if exchange.done:
            return
        bytes_received = 0
        if exchange.connection is not None:
            bytes_received = exchange.connection.abandon()
        elif exchange.dial is not None:
            exchange.dial.cancel()
        elif exchange.host is not None:
            self._pool.unwait(exchange.host, exchange)
        failure = self._failure(exchange, reason)
        failure.bytes_received = bytes_received
        self._finish_later(exchange, failure)

    def _failure(self, exchange: Exchange, reason: Reason, detail: str = "") -> Failure:
        return Failure(reason, detail, (time.monotonic() - exchange.started_s) * 1000)

    def _finish_later(self, exchange: Exchange, outcome: Outcome) -> None:
        exchange.done = True
        if exchange.bucket is not None:
            exchange.bucket.discard(exchange)
        exchange.connection = None
        self._loop.call_soon(exchange.on_done, outcome)

    def _finish(self, exchange: Exchange, outcome: Outcome) -> None:
        if exchange.done:
            return
        exchange.done = True
        if exchange.bucket is not None:
            exchange.bucket.discard(exchange)
        exchange.connection = None
        try:
            exchange.on_done(outcome)
        except Exception as error:  # noqa: BLE001
            # Failure policy: the caller's error is the caller's; it is reported, and every other request goes on.
            self._loop.call_exception_handler({"message": "hookline: a delivery callback failed", "exception": error})
