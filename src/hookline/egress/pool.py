"""Connections kept and counted, per host and in all.

A `Host` is an origin with its own TLS options. Its idle connections are taken last-in first-out, so that a quiet hour
lets the surplus age out. Counted is every connection from the moment it is being dialed until it is lost. A request
that finds its host full, or everything full, waits in its host's queue; hosts that wait for room in all take turns.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from hookline.egress.transport import TlsOptions

if TYPE_CHECKING:
    from hookline.egress.connection import Connection
    from hookline.egress.exchange import Exchange
    from hookline.egress.policy import EgressPolicy


class Origin(NamedTuple):
    """What a connection is for. Requests share connections only if all of it is equal."""

    scheme: str
    host: str
    port: int
    tls: TlsOptions | None


class Host:
    """One origin's connections and queue."""

    __slots__ = ("idle", "open", "origin", "retired", "waiting")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: list[Connection] = []
        self.open = 0
        self.waiting: OrderedDict[Exchange, None] = OrderedDict()
        self.retired = False
        """Dropped from the pool because nothing was left of it; whoever still holds it asks the pool again."""


class Pool:
    """Keeps the books. It never dials and never writes; it does close idle connections that must go."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._hosts: dict[Origin, Host] = {}
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        self._short_of_room: deque[Host] = deque()
        self.open = 0

    def host(self, origin: Origin) -> Host:
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = Host(origin)
        return host

    # -- idle connections ----------------------------------------------------------------------------------------------

    def take(self, host: Host, *, just_vetted: bool = False) -> Connection | None:
        """Give the connection of this host used last, if it is alive and was vetted recently enough."""
        idle = host.idle
        while idle:
            connection = idle[-1]
            if not connection.usable:
                self.discard(connection)
                continue
            if not just_vetted and time.monotonic() - connection.vetted_at_s > self._policy.max_vetted_age_s:
                return None
            idle.pop()
            del self._idle[connection]
            return connection
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection for later; the one unused for longest goes if there are too many."""
        connection.idle_since_s = time.monotonic()
        connection.host.idle.append(connection)
        self._idle[connection] = None
        if len(self._idle) > self._policy.max_idle_connections:
            self.discard(next(iter(self._idle)))

    def revet(self, host: Host, addresses: Collection[str]) -> None:
        """After a fresh look-up: idle connections to a vetted address count as vetted now, the others are closed."""
        now_s = time.monotonic()
        for connection in list(host.idle):
            if connection.remote in addresses:
                connection.vetted_at_s = now_s
            else:
                self.discard(connection)

    def discard(self, connection: Connection) -> None:
        """Close an idle connection and stop counting it."""
        self.forget(connection)
        connection.abort()

    def discard_all(self) -> None:
        for connection in list(self._idle):
            self.discard(connection)

    def discard_old(self) -> bool:
        """Close what has been idle for too long. Says whether anything idle is left."""
        oldest_s = time.monotonic() - self._policy.max_idle_s
        while self._idle:
            connection = next(iter(self._idle))
            if connection.idle_since_s > oldest_s:
                return True
            self.discard(connection)
        return False

    # -- counting ------------------------------------------------------------------------------------------------------

    def reserve(self, host: Host) -> bool:
        """Count one more connection for a host, if need be in the place of an idle one. False: no room."""
        if host.open >= self._policy.max_connections_per_host:
            if not host.idle:
                return False
            self.discard(host.idle[0])
        if self.open >= self._policy.max_connections:
            if not self._idle:
                return False
            self.discard(next(iter(self._idle)))
        host.open += 1
        self.open += 1
        if host.retired:
            host.retired = False
            self._hosts[host.origin] = host
        return True

    def release(self, host: Host) -> None:
        """Stop counting a connection that is not there any more, or never came to be."""
        host.open -= 1
        self.open -= 1
        if not host.open and not host.waiting:
            host.retired = True
            self._hosts.pop(host.origin, None)

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection, once, wherever it stood."""
        if self._idle.pop(connection, False) is None:
            connection.host.idle.remove(connection)
        if connection.counted:
            connection.counted = False
            self.release(connection.host)

    # -- queues --------------------------------------------------------------------------------------------------------

    def wait(self, host: Host, exchange: Exchange, *, first: bool = False) -> None:
        """Queue a request that found no room."""
        host.waiting[exchange] = None
        if first:
            host.waiting.move_to_end(exchange, last=False)
        if host.open < self._policy.max_connections_per_host and host not in self._short_of_room:
            self._short_of_room.append(host)

    def unwait(self, host: Host, exchange: Exchange) -> None:
        """Take a request out of its queue: it was canceled or is overdue."""
        host.waiting.pop(exchange, None)
        if not host.open and not host.waiting:
            host.retired = True
            self._hosts.pop(host.origin, None)

    def next_for(self, host: Host) -> Exchange | None:
        """The request that a connection of this host, just become free, should carry next."""
        return host.waiting.popitem(last=False)[0] if host.waiting else None

    @property
    def is_short_of_room(self) -> bool:
        """Whether other hosts wait for an idle connection of this one to make room."""
        return bool(self._short_of_room)

    def next_to_dial(self, freed: Host) -> Exchange | None:
        """After a connection of `freed` went: reserve its place for the request that gets it, in turn."""
        if freed.waiting and freed not in self._short_of_room:
            self._short_of_room.append(freed)
        for _ in range(len(self._short_of_room)):
            host = self._short_of_room.popleft()
            if not host.waiting:
                continue
            if not self.reserve(host):
                if host.open < self._policy.max_connections_per_host:
                    self._short_of_room.appendleft(host)
                    return None
                continue
            exchange, _ = host.waiting.popitem(last=False)
            if host.waiting and host.open < self._policy.max_connections_per_host:
                self._short_of_room.append(host)
            return exchange
        return None
