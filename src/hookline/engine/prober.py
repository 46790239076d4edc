"""Prober: tries open lanes again, one delivery at a time.

open, time passed ──claim one──> half open ──success──> closed (the Claimer takes over)
                                     └──failure──> open, twice as long
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.claimer import Claimer
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.lane import LaneState
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.store.changes import Want
from hookline.store.protocol import EngineStore


class Prober(Background):
    name = "prober"

    def __init__(
        self,
        store: EngineStore,
        dispatcher: Dispatcher,
        claimer: Claimer,
        lease: Lease,
        clock: Clock,
        options: EngineOptions,
    ) -> None:
        super().__init__()
        self._store = store
        self._dispatcher = dispatcher
        self._claimer = claimer
        self._lease = lease
        self._clock = clock
        self._options = options

    async def work(self) -> float:
        if self._dispatcher.halted or not self._lease.valid() or self._dispatcher.stopping:
            return self._options.claim_poll_s
        now_ms = self._clock.now_ms()
        due = await self._store.due_lanes(self._lease.node, now_ms, self._options.claim_lanes)
        wants = []
        for one in due:
            if one.health.state == LaneState.CLOSED.value:
                continue
            lane = self._dispatcher.lane(one.endpoint_id, one.app_id, ordered=one.ordered)
            if lane.in_flight or lane.queue:
                continue  # its probe is under way
            lane.adopt(one.health)
            lane.half_open()
            wants.append(Want(one.endpoint_id, 1, one.ordered))
        if wants:
            await self._claimer.bring(wants)
        return self._options.claim_poll_s
