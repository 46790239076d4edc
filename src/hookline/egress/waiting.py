"""From callback to awaitable: what every transport's `send` is."""

from __future__ import annotations

import asyncio

from hookline.egress.transport import Outcome, Request, Transport


async def send_and_wait(transport: Transport, request: Request) -> Outcome:
    """Start a request and wait for its outcome; if the waiter is cancelled, so is the request."""
    future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(outcome: Outcome) -> None:
        if not future.done():
            future.set_result(outcome)

    handle = transport.start(request, settle)
    try:
        return await future
    except asyncio.CancelledError:
        handle.cancel()
        raise
