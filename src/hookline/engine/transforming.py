"""Transforming payloads, without letting one customer's expression cost the others.

    tried within a millisecond or two, on the event loop ──done──> sent
           └──more to do──> its application's turn ──> a thread, the only one for this ──> sent, or failed for good

Nearly every transform ends in the first try. What does not goes to one thread, and of each application one at a time:
whoever brings expensive expressions waits for themselves, and delays others by one of them at most.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakValueDictionary

import msgspec

from hookline.dialects import BudgetSpentError, Transform, TransformError
from hookline.egress import Failure, Reason
from hookline.engine.routing import Route
from hookline.model import Message


class Transforming:
    """The transforms of one node."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hookline-transform")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def apply(self, route: Route, message: Message, timeout_s: float) -> Message | Failure:
        """The message as it is sent; a failure that says why there is no such thing."""
        try:
            transform = route.transform
            if transform is None or message.payload_expired:  # nothing to do; nothing left, as its dialect will say
                return message
            try:
                payload = transform.apply(message.payload, quick=True)
            except BudgetSpentError:
                payload = await self._apply_aside(transform, message, timeout_s)
        except TransformError as error:
            return Failure(Reason.TRANSFORM_FAILED, error.message)
        except TimeoutError:
            # Failure policy: open. It was not its turn in time; the delivery is tried again.
            return Failure(Reason.TIMEOUT_TOTAL, "The transform was not done in time. It is tried again.")
        return msgspec.structs.replace(message, payload=payload)

    async def _apply_aside(self, transform: Transform, message: Message, timeout_s: float) -> bytes:
        turn = self._turns.get(message.app_id)
        if turn is None:
            turn = self._turns[message.app_id] = asyncio.Lock()
        async with asyncio.timeout(timeout_s), turn:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, transform.apply, message.payload)

    def close(self) -> None:
        """Let the thread end after what it does now."""
        self._thread.shutdown(wait=False)
