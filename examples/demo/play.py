"""The play itself, on a server that is ready: subscribe, publish, watch, judge.

application and endpoints made ──> events published ──> all arrived, or deadline ──> compared with the record
──> table and verdict ──> later arrivals shown, as long as it serves
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from rich.console import Console
from rich.live import Live

from . import table
from .client import Client
from .deliveries import Delivery, Ledger
from .receiver import Arrival, Receiver
from .scene import EVENTS, SUBSCRIBERS

ARRIVAL_TIMEOUT_S = 20.0
RECORD_TIMEOUT_S = 5.0
RECORD_POLL_S = 0.05


class Play:
    """One performance. `broken` are the uids of subscribers that get a wrong secret."""

    def __init__(self, console: Console, broken: Collection[str]) -> None:
        self._console = console
        self._broken = broken
        self._ledger = Ledger()
        self._arrived = asyncio.Event()
        self._is_over = False
        self.receiver = Receiver(self._note)

    async def perform(self, client: Client) -> bool:
        """Play all of it; whether every delivery was verified and is on record as a success."""
        with self._console.status("making an application and its endpoints"):
            await self._subscribe(client)
        with Live(console=self._console, auto_refresh=False) as live:
            await self._publish(client, live)
            with contextlib.suppress(TimeoutError):  # what is missing is said in the table
                async with asyncio.timeout(ARRIVAL_TIMEOUT_S):
                    while not self._ledger.all_arrived:
                        await self._arrived.wait()
                        self._arrived.clear()
                        self._show(live)
            for delivery in self._ledger.deliveries:
                delivery.recorded = await find_record(client, delivery)
            self._show(live)
        table.print_verdict(self._console, self._ledger)
        self._is_over = True
        return not self._ledger.bad

    async def _subscribe(self, client: Client) -> None:
        await client.create_application()
        for subscriber in SUBSCRIBERS:
            secret = await client.create_endpoint(subscriber, self.receiver.url_of(subscriber))
            if subscriber.uid in self._broken:
                secret = spoil(secret)
            self.receiver.expect(subscriber, secret)

    async def _publish(self, client: Client, live: Live) -> None:
        for event in EVENTS:
            message = await client.publish(event)
            self._ledger.expect(message, event, [one for one in SUBSCRIBERS if one.wants(event.type)])
            self._show(live)

    def _show(self, live: Live) -> None:
        live.update(table.draw(self._ledger, self._console.width), refresh=self._console.is_terminal)

    def _note(self, arrival: Arrival) -> None:
        is_expected = self._ledger.note(arrival)
        self._arrived.set()
        if self._is_over and not is_expected:
            table.print_arrival(self._console, arrival)


async def find_record(client: Client, delivery: Delivery) -> str:
    """What Hookline has on record of a delivery: `success`, or what the last attempt came to.

    Outcomes are written in groups, a moment after the answer; a success is waited for.
    """
    loop = asyncio.get_running_loop()
    is_good = delivery.arrival is not None and delivery.arrival.problem is None
    deadline_s = loop.time() + (RECORD_TIMEOUT_S if is_good else RECORD_POLL_S)
    while True:
        attempts = await client.list_attempts(delivery.message_id, delivery.subscriber)
        if any(attempt["statusText"] == "success" for attempt in attempts):
            return "success"
        if loop.time() >= deadline_s:
            return f"{attempts[0]['reason']}. {attempts[0]['detail']}".strip() if attempts else "no attempt"
        await asyncio.sleep(RECORD_POLL_S)


def spoil(secret: str) -> str:
    """Another secret of the same form: what a receiver has that missed a rotation."""
    prefix, body = ("whsec_", secret.removeprefix("whsec_")) if secret.startswith("whsec_") else ("", secret)
    return prefix + ("B" if body.startswith("A") else "A") + body[1:]
