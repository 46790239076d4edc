"""Pruner: keeps the database as small as the operator asked, and ends what can no longer be delivered.

often:   deliveries owed to deleted endpoints are canceled; expired payloads are emptied, what they owe is canceled
hourly:  messages and attempts beyond the retention go; what is still owed stays
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.options import EngineOptions
from hookline.store.protocol import EngineStore


class Pruner(Background):
    name = "pruner"

    def __init__(self, store: EngineStore, clock: Clock, options: EngineOptions) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._options = options
        self._next_prune_s = float("-inf")

    async def work(self) -> float:
        chunk = self._options.prune_chunk
        report = await self._store.cancel_deleted(self._clock.now_ms(), chunk)
        more = report.more
        report = await self._store.expire_payloads(self._clock.now_ms(), chunk)
        more = more or report.more
        if self._clock.monotonic_s() >= self._next_prune_s:
            now_ms = self._clock.now_ms()
            report = await self._store.prune(now_ms - round(self._options.retention_s * 1000), now_ms, chunk)
            if report.more:
                more = True
            else:
                self._next_prune_s = self._clock.monotonic_s() + self._options.prune_every_s
        return 0.0 if more else self._options.tidy_every_s
