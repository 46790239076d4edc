"""A transport without a network, for tests and simulations: a script decides what each request gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hookline.egress.headers import HeaderRefused, HeaderWriter
from hookline.egress.policy import EgressPolicy
from hookline.egress.reasons import Reason
from hookline.egress.transport import Failure, Outcome, Request, Response
from hookline.egress.url import UrlRefused, parse_url
from hookline.egress.waiting import send_and_wait

Script = Callable[[Request], Outcome | None]
"""Gives the outcome of a request; None leaves it hanging until `release`, `cancel` or its deadline."""


class MemoryExchange:
    """The handle of a request to a `MemoryTransport`, and the way to answer one that hangs."""

    def __init__(self, transport: MemoryTransport, request: Request, on_done: Callable[[Outcome], None]) -> None:
        self.request = request
        self._transport = transport
        self._on_done = on_done
        self._timer: asyncio.TimerHandle | None = None
        self._done = False

    def cancel(self) -> None:
        self.release(Failure(Reason.CANCELED))

    def release(self, outcome: Outcome) -> None:
        """Let the request end so, on the next turn of the loop. No effect on a finished one."""
        if self._done:
            return
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.hanging.pop(self, None)
        asyncio.get_running_loop().call_soon(self._on_done, outcome)

    def hang(self) -> None:
        """Leave the request open until its own deadline."""
        self._transport.hanging[self] = None
        self._timer = asyncio.get_running_loop().call_later(
            self.request.timeout_s, self.release, Failure(Reason.TIMEOUT_TOTAL)
        )


class MemoryTransport:
    """Keeps every request in `requests` and those that hang in `hanging`, oldest first.

    URLs and headers are checked as by the real transport if a policy is given.
    """

    def __init__(self, script: Script | None = None, policy: EgressPolicy | None = None) -> None:
        self.script: Script = script or (lambda _request: Response(200))
        self.requests: list[Request] = []
        self.hanging: dict[MemoryExchange, None] = {}
        self._policy = policy
        self._writer = HeaderWriter()
        self._closed = False

    def start(self, request: Request, on_done: Callable[[Outcome], None]) -> MemoryExchange:
        exchange = MemoryExchange(self, request, on_done)
        outcome: Outcome | None = self._refusal(request)
        if outcome is None:
            self.requests.append(request)
            outcome = self.script(request)
        if outcome is None:
            exchange.hang()
        else:
            exchange.release(outcome)
        return exchange

    async def send(self, request: Request) -> Outcome:
        return await send_and_wait(self, request)

    def abort_all(self, reason: Reason) -> None:
        for exchange in list(self.hanging):
            exchange.release(Failure(reason))

    async def close(self) -> None:
        self._closed = True
        self.abort_all(Reason.CANCELED)

    def _refusal(self, request: Request) -> Failure | None:
        if self._closed:
            return Failure(Reason.CANCELED)
        try:
            if self._policy is not None:
                parse_url(request.url, self._policy)
            self._writer.write(request.headers)
        except UrlRefused as error:
            return Failure(error.reason, str(error))
        except HeaderRefused as error:
            return Failure(Reason.INVALID_HEADER, str(error))
        return None
