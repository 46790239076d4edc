"""Prober: tries open lanes again, one delivery at a time.

open, time passed ──claim one──> half open ──success──> closed (the Claimer takes over)
                                     └──failure──> open, twice as long

A lane that another node has opened while requests of ours are on their way needs no probe: our next answer is one.
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


class Prober(Background):
    name = "prober"

    def __init__(
        self, dispatcher: Dispatcher, claimer: Claimer, lease: Lease, clock: Clock, options: EngineOptions
    ) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._claimer = claimer
        self._lease = lease
        self._clock = clock
        self._options = options

    async def work(self) -> float:
        if self._dispatcher.halted or not self._lease.valid() or self._dispatcher.stopping:
            return self._options.claim_poll_s
        now_ms = self._clock.now_ms()
        wants: list[Want] = []
        for one in await self._claimer.list_due(now_ms):
            if one.health.state == LaneState.CLOSED.value or len(wants) >= self._options.max_claim:
                continue
            lane = self._dispatcher.lane(one.endpoint_id, one.app_id, ordered=one.ordered)
            if lane.in_flight or lane.queue:
                if lane.state is LaneState.CLOSED:
                    lane.doubt()
                continue  # its probe is under way
            lane.adopt(one.health)
            lane.try_again(now_ms)
            if lane.sends(now_ms):
                wants.append(Want(one.endpoint_id, 1, one.ordered, one.keyed))
        if wants:
            await self._claimer.bring(wants)
        return self._options.claim_poll_s
