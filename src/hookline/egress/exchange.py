"""One request on its way, from `start` to its one outcome. Also the handle that `start` gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hookline.egress.transport import Outcome, Request

if TYPE_CHECKING:
    from hookline.egress.connection import Connection
    from hookline.egress.pool import Host
    from hookline.egress.url import Target


class Canceler(Protocol):
    def cancel(self, exchange: Exchange) -> None: ...


class Exchange:
    """Where a request stands: waiting in its host's queue, dialing (`dial`), or on a connection."""

    __slots__ = (
        "bucket",
        "client",
        "connection",
        "dial",
        "done",
        "head",
        "holds_place",
        "host",
        "on_done",
        "request",
        "retried",
        "started_s",
        "target",
    )

    def __init__(
        self, client: Canceler, request: Request, on_done: Callable[[Outcome], None], started_s: float
    ) -> None:
        self.client = client
        self.request = request
        self.on_done = on_done
        self.started_s = started_s
        self.target: Target | None = None
        self.host: Host | None = None
        self.head = b""
        self.bucket: set[Exchange] | None = None
        self.connection: Connection | None = None
        self.dial: asyncio.Task[None] | None = None
        self.holds_place = False
        """A place in the pool is reserved for the connection that is being dialed for it."""
        self.retried = False
        self.done = False

    def cancel(self) -> None:
        """Stop the request. The callback comes on the next turn of the loop, with reason `canceled`."""
        self.client.cancel(self)
