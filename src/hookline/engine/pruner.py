"""Pruner: keeps the database as small as the operator asked, and ends what can no longer be delivered.

at once: what deleted applications left is removed (their deletion wakes it)
often:   deliveries owed to deleted endpoints are canceled; expired payloads are emptied, what they owe is canceled
hourly:  messages and attempts beyond the retention, of all or of their organization, go; what is still owed stays
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.options import EngineOptions
from hookline.store.protocol import EngineStore

DAY_MS = 86_400_000


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
        report = await self._store.erase_deleted(self._clock.now_ms(), chunk)
        more = report.more
        report = await self._store.cancel_deleted(self._clock.now_ms(), chunk)
        more = more or report.more
        report = await self._store.expire_payloads(self._clock.now_ms(), chunk)
        more = more or report.more
        if self._clock.monotonic_s() >= self._next_prune_s:
            if await self._prune(chunk):
                more = True
            else:
                self._next_prune_s = self._clock.monotonic_s() + self._options.prune_every_s
        return 0.0 if more else self._options.tidy_every_s

    async def _prune(self, chunk: int) -> bool:
        """One round of what is beyond its retention; whether there is more."""
        now_ms, retention_ms = self._clock.now_ms(), round(self._options.retention_s * 1000)
        more = (await self._store.prune(now_ms - retention_ms, now_ms, chunk)).more
        for retention in await self._store.list_retentions():
            kept_ms = retention.days * DAY_MS
            if kept_ms < retention_ms:
                report = await self._store.prune_organization(retention.org_id, now_ms - kept_ms, chunk)
                more = more or report.more
        return more
