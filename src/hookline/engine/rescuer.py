"""Rescuer: takes over what dead nodes owe, and looks after what this one may have lost track of.

    each round:  fence nodes whose lease ended │ their batches and leases become free `pending` rows
                 our own old batches that are not in memory (a COMMIT whose answer was lost) likewise
                 our stragglers get rows of their own

A node that was itself without the database waits a full lease before it rescues others: nodes that lost the database
together come back together, and recording beats delivering again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hookline import crashpoints
from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.batches import Batches
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.stats import Stats
from hookline.store.changes import RescueReport
from hookline.store.errors import StoreUnavailableError
from hookline.store.protocol import EngineStore

OWN_BATCH_AGE_S = 30.0  # older than any commit that may still be on its way


class Rescuer(Background):
    """`on_rescued` wakes whoever claims. Without `others` it looks after this node's own deliveries alone."""

    name = "rescuer"

    def __init__(
        self,
        store: EngineStore,
        batches: Batches,
        lease: Lease,
        clock: Clock,
        options: EngineOptions,
        stats: Stats,
        *,
        on_rescued: Callable[[], None],
        sweep: Callable[[], int],
        others: bool = True,
    ) -> None:
        super().__init__()
        self._store = store
        self._batches = batches
        self._lease = lease
        self._clock = clock
        self._options = options
        self._stats = stats
        self._on_rescued = on_rescued
        self._sweep = sweep
        self._others = others
        self._not_before_s = float("-inf")
        self._own_checked_s = float("-inf")

    def wait_a_lease(self) -> None:
        """This node is or was without the database: let the others record first.

        Said at every sign of it, not only when it is back: this service may be the first to reach it again.
        """
        self._not_before_s = self._clock.monotonic_s() + self._lease.lease_s

    async def work(self) -> float:
        self._sweep()
        if not self._lease.valid():
            return self._options.rescue_every_s
        try:
            await self._adopt_own()
            if self._others and self._clock.monotonic_s() >= self._not_before_s:
                await self.rescue_all()
        except StoreUnavailableError:
            self.wait_a_lease()
            raise
        return self._options.rescue_every_s

    async def rescue_all(self) -> int:
        """Rescue until nothing is left; the number of deliveries that are owed again."""
        rescued = 0
        while True:
            report = await self._step()
            rescued += report.deliveries
            self._stats.rescued += report.deliveries
            if report.deliveries:
                crashpoints.reach("after_rescue_step")
                self._on_rescued()
            if not report.more:
                return rescued

    async def _step(self) -> RescueReport:
        """One step. A question that hung for a whole lease is withdrawn: answered late, it would take from nodes that
        are just coming back from the same outage.
        """
        try:
            async with asyncio.timeout(self._lease.lease_s):
                return await self._store.rescue(self._lease.node, self._clock.now_ms(), self._options.rescue_chunk)
        except TimeoutError as error:
            raise StoreUnavailableError("the database took longer than a lease for one step of a rescue") from error

    async def _adopt_own(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._own_checked_s < OWN_BATCH_AGE_S / 2:
            return
        self._own_checked_s = now_s
        older_than_ms = self._clock.now_ms() - round(OWN_BATCH_AGE_S * 1000)
        known = await self._store.own_batches(self._lease.node, older_than_ms)
        missing = [batch_id for batch_id in known if batch_id not in self._batches]
        if missing and await self._store.adopt_batches(self._lease.node, missing, self._clock.now_ms()):
            self._on_rescued()
