"""Heartbeat: renews the node's lease, and cuts everything when it could not.

renewed ──lease_s / 3──> renewed ──...
   └──no answer until the lease ends──> cut: requests in flight are aborted, lanes halt ──renewed──> resumed
   └──«your epoch is gone»──> refenced: a new epoch, old deliveries belong to whoever rescued them
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.lease import Lease
from hookline.store.protocol import EngineStore


class Heartbeat(Background):
    """`on_cut` is called when the lease has ended by our own clock, `on_renewed` after each renewal."""

    name = "heartbeat"

    def __init__(
        self,
        store: EngineStore,
        lease: Lease,
        clock: Clock,
        *,
        refence: Callable[[], Awaitable[None]],
        on_cut: Callable[[], None],
        on_renewed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._store = store
        self._lease = lease
        self._clock = clock
        self._refence = refence
        self._on_cut = on_cut
        self._on_renewed = on_renewed
        self._guard: asyncio.TimerHandle | None = None
        self.retry_s = min(1.0, lease.lease_s / 6)

    async def work(self) -> float:
        self._arm()
        asked_at_s = self._clock.monotonic_s()
        async with asyncio.timeout(self._lease.lease_s):
            granted = await self._store.renew_lease(self._lease.node, self._lease.lease_s)
        if granted:
            self._lease.renewed(self._lease.node, asked_at_s)
        else:
            await self._refence()
        self._arm()
        self._on_renewed()
        return self._lease.lease_s / 3

    async def stop(self) -> None:
        await super().stop()
        if self._guard is not None:
            self._guard.cancel()

    def _arm(self) -> None:
        """The guard does not depend on the loop above: it fires even while a renewal hangs."""
        if self._guard is not None:
            self._guard.cancel()
        left_s = max(0.0, self._lease.ends_at_s - self._clock.monotonic_s())
        self._guard = asyncio.get_running_loop().call_later(left_s, self._ended)

    def _ended(self) -> None:
        if self._lease.valid():  # renewed by somebody else meanwhile, or the timer was a little early
            self._arm()
        else:
            self._on_cut()
