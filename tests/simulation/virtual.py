"""Virtual time: an event loop that never waits, so that hours of retries pass in milliseconds and a seed repeats them.

When nothing is ready, the loop's clock jumps to the next timer. Work for threads is done on the loop, after a delay
that the seed decides. When there is neither, everybody waits for everybody, and that is an error.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

START_MS = 1_750_000_000_000


class DeadlockError(AssertionError):
    """Nothing is ready, nothing is planned, and the simulation has not ended."""


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        if not self._ready:
            if not self._scheduled:
                raise DeadlockError("everybody waits")
            self.now_s = max(self.now_s, self._scheduled[0]._when)
        super()._run_once()

    def run_in_executor(self, executor: Any, work: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(work(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self.rng.choice((0.0, 0.001, 0.005, 0.05)), run)
        return future


class VirtualClock:
    """The loop's time, as everybody in the simulation sees it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        return START_MS + round(self._loop.now_s * 1000)

    def monotonic_s(self) -> float:
        return self._loop.now_s
