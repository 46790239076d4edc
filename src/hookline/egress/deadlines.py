"""Deadlines for very many requests: buckets of a few milliseconds instead of a timer for each.

A request is put into the bucket of its deadline and taken out when it is done; both are one set operation. One loop
timer stands for the earliest bucket only. When it fires, what is left in that bucket is overdue. With nothing in flight
there is no timer beyond the last bucket's.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

TICK_S: Final = 0.02
"""A deadline is honoured at most this late, plus what the loop is late by."""

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `on_overdue(item)` for every item still in its bucket when the bucket's time has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_overdue: Callable[[T], None]) -> None:
        self._loop = loop
        self._on_overdue = on_overdue
        self._buckets: dict[int, set[T]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, deadline_s: float) -> set[T]:
        """Watch an item until a time on the monotonic clock. `discard` it from the set given back when it is done."""
        tick = int(deadline_s / TICK_S) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = set()
            heapq.heappush(self._order, tick)
            if self._order[0] == tick:
                self._arm()
        bucket.add(item)
        return bucket

    def __iter__(self) -> Iterator[T]:
        """Everything that is being watched; a copy, so that items may go while it is read."""
        return iter([item for bucket in self._buckets.values() for item in bucket])

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wait_s = self._order[0] * TICK_S - time.monotonic()
        self._timer = self._loop.call_later(max(wait_s, 0.0), self._fire)

    def _fire(self) -> None:
        self._timer = None
        # Loop timers may fire a clock tick early; such a bucket is as good as due.
        now_tick = int((time.monotonic() + 0.002) / TICK_S)
        while self._order and self._order[0] <= now_tick:
            bucket = self._buckets.pop(heapq.heappop(self._order))
            while bucket:
                self._on_overdue(bucket.pop())
        if self._order:
            self._arm()
