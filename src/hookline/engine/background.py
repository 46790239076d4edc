"""The shape of a background service: one named loop, startable and stoppable alone.

stopped ──start──> running ──work──> waiting ──wake or time──> running
                      ├──error──> waiting (logged; the loop never dies of one bad round)
                      └──stop──> the round ends, unless it takes too long ──> stopped
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from hookline.store.errors import FencedError, StoreUnavailableError

STOP_PATIENCE_S = 2.0

log = logging.getLogger("hookline.engine.background")


class Background(ABC):
    """Subclasses do one round of work in `work` and return the seconds until the next; `wake` cuts the wait short."""

    name = "background"
    retry_s = 1.0  # after a round that failed

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @abstractmethod
    async def work(self) -> float: ...

    def start(self) -> None:
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Let the round that runs come to its end: a transaction cut in the middle helps nobody."""
        task, self._task = self._task, None
        if task is not None:
            self._stopping = True
            self._wake.set()
            await asyncio.wait([task], timeout=STOP_PATIENCE_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def wake(self) -> None:
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait_s = await self.work()
            except StoreUnavailableError as error:
                # Failure policy: patient. The database is away; the committer halts the lanes, we try again.
                log.info("%s waits for the database", self.name, extra={"action": "waiting", "reason": error.message})
                wait_s = self.retry_s
            except FencedError:
                # Failure policy: patient. This node was declared dead; the Heartbeat gets it a new epoch.
                log.info("%s waits for a new lease", self.name, extra={"action": "waiting", "reason": "node_fenced"})
                wait_s = self.retry_s
            except Exception:
                # Failure policy: open. One round failed, what it would have done is still owed: the next one does it.
                log.exception("%s failed", self.name, extra={"action": f"{self.name}_failed"})
                wait_s = self.retry_s
            if wait_s <= 0:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
