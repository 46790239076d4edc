"""Ingest: the way in. A draft is queued for the next group commit; its receipt comes when it is on disk, never before.

Back-pressure has two steps. When more deliveries wait for this process than it can start (not for slow receivers:
those have lanes of their own), each commit pauses for a moment so that delivery keeps up with acceptance. When more
drafts wait than the engine will hold, new ones are refused at once with «overloaded».
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from hookline.engine.committer import Committer
from hookline.engine.drafts import Draft, Receipt
from hookline.engine.errors import EngineError, OverloadedError, StoppingError, UnknownApplicationError
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Routing
from hookline.engine.stats import Stats
from hookline.engine.work import WaitingDraft
from hookline.errors import HooklineError

__all__ = ["Draft", "Ingest", "Receipt"]

log = logging.getLogger("hookline.engine.ingest")


class Ingest:
    """Accepts drafts while `accepting`; the committer does the rest."""

    def __init__(self, committer: Committer, routing: Routing, options: EngineOptions, stats: Stats) -> None:
        self._committer = committer
        self._queue = committer.queue.drafts
        self._routing = routing
        self._options = options
        self._stats = stats
        self._loads: set[asyncio.Task[None]] = set()
        self.accepting = False

    def offer(self, draft: Draft, on_done: Callable[[Receipt | HooklineError], None]) -> None:
        """Take a draft; `on_done` is called once, on the event loop, later (never from inside this call).

        The error is an `OverloadedError`, `StoppingError`, `UnknownApplicationError` or a `StoreError`.
        """
        loop = asyncio.get_running_loop()
        if not self.accepting:
            self._stats.ingested["refused"] += 1
            loop.call_soon(on_done, StoppingError("the server is starting or stopping; try again in a moment"))
        elif len(self._queue) + len(self._loads) >= self._options.max_waiting_messages:
            self._stats.ingested["refused"] += 1
            loop.call_soon(on_done, OverloadedError("too many messages wait to be stored; try again in a second"))
        elif self._routing.cached(draft.app_id) is not None:
            self._enqueue(draft, on_done)
        else:
            task = loop.create_task(self._load_then_enqueue(draft, on_done))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)

    async def accept(self, draft: Draft) -> Receipt:
        """`offer`, awaited; raises what `offer` hands to its callback."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

        def done(answer: Receipt | HooklineError) -> None:
            if future.cancelled():
                return
            if isinstance(answer, HooklineError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.offer(draft, done)
        return await future

    async def foresee(self, app_id: str, event_type: str, channels: Sequence[str]) -> tuple[str, ...]:
        """The endpoints that such a message would be for, if it came now, whatever is in it.

        Raises UnknownApplicationError, StoreUnavailableError.
        """
        table = await self._routing.get(app_id)
        if table is None:
            raise UnknownApplicationError("the application does not exist")
        return table.select(event_type, channels).targets

    def _enqueue(self, draft: Draft, on_done: Callable[[Receipt | HooklineError], None]) -> None:
        self._queue.append(WaitingDraft(draft, on_done))
        self._committer.wake_for_drafts()

    async def _load_then_enqueue(self, draft: Draft, on_done: Callable[[Receipt | HooklineError], None]) -> None:
        """The application's endpoints are not in memory: one load for all who wait, before the group commit."""
        try:
            table = await self._routing.get(draft.app_id)
        except Exception as error:
            # Failure policy: closed. Without the endpoints nobody knows what would be owed.
            self._stats.ingested["failed"] += 1
            if not isinstance(error, HooklineError):
                log.exception("endpoints cannot be loaded", extra={"action": "routing_failed"})
                error = EngineError("the application's endpoints could not be read; see the server's log")
            on_done(error)
            return
        if table is None:
            on_done(UnknownApplicationError("the application does not exist"))
            return
        self._enqueue(draft, on_done)

    async def drain(self) -> None:
        """Wait until every draft that was offered is in the committer's queue or answered."""
        while self._loads:
            await asyncio.wait(self._loads)
