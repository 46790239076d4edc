"""Parts that the client's tests share."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hookline.egress import EgressPolicy, HttpTransport, Resolver, parse_networks
from integration.egress.receivers import Receiver, run_receiver

Make = Callable[..., HttpTransport]
LOOPBACK = parse_networks("127.0.0.0/8,::1/128")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 200 and keeps connections open."""
    async with run_receiver() as running:
        yield running


@pytest.fixture
async def make_transport() -> AsyncIterator[Callable[..., HttpTransport]]:
    """Make transports that may reach loopback; they are closed afterwards, and must then hold nothing."""
    made: list[HttpTransport] = []

    def make(resolver: Resolver | None = None, **settings: Any) -> HttpTransport:
        transport = HttpTransport(EgressPolicy(**{"allow": LOOPBACK, **settings}), resolver)
        made.append(transport)
        return transport

    yield make
    for transport in made:
        await transport.close()
        assert transport.open_connections == 0
        assert transport._pool.open == 0
        assert not transport._pool._hosts
        assert not list(transport._deadlines)


class LoopLag:
    """How late the loop itself was at most: what no deadline on it can beat, so tests of deadlines allow for it."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    def slack_s(self) -> float:
        return 0.15 + 3 * self.worst_s

    async def watch(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst_s = max(self.worst_s, time.monotonic() - before_s - 0.005)


@pytest.fixture
async def loop_lag() -> AsyncIterator[LoopLag]:
    lag = LoopLag()
    task = asyncio.create_task(lag.watch())
    yield lag
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
