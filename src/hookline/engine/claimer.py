"""Claimer: brings due rows of `pending` back into memory, for each lane with room, at most that room.

    asleep ──due time, poll or wake──> which lanes are due? ──room──> claim ──> lanes
                                              └──none──> asleep until the next lane is due

The `lanes` rows say which endpoints have something due and are not held, so a dead endpoint's million rows are never
looked at. Open lanes are the Prober's. What one round may claim is shared out among the lanes with room, those that
waited longest for their share first, so that one endpoint's long backlog delays no other endpoint's retry.
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.delivery import Delivery
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.lane import LaneState
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.store.changes import Claimed, DueLane, Want
from hookline.store.protocol import EngineStore

SHORTEST_SLEEP_S = 0.01
MOST_LANES = 20_000  # looked at in one round, when so many are due at once
ANY_TIME_MS = 2**62
EMPTY_HANDED_S = 0.25  # a lane that was due but gave nothing (another node was faster) is left alone for so long


class Claimer(Background):
    """Also used by the Prober: `bring` claims for given lanes."""

    name = "claimer"

    def __init__(
        self, store: EngineStore, dispatcher: Dispatcher, lease: Lease, clock: Clock, options: EngineOptions
    ) -> None:
        super().__init__()
        self._store = store
        self._dispatcher = dispatcher
        self._lease = lease
        self._clock = clock
        self._options = options
        self._empty_until_s: dict[str, float] = {}
        self._full: set[str] = set()  # due lanes that had no room: worth a wake when a slot is free
        self._served: dict[str, int] = {}  # when a due lane last got a share: the number of that share
        self._shares = 0
        self._planned_ms = ANY_TIME_MS

    def note_due(self, due_at_ms: int) -> None:
        """A row was written that is due then; wake up for it if it is earlier than planned."""
        if due_at_ms < self._planned_ms:
            self.wake()

    def note_slot(self, endpoint_id: str) -> None:
        if endpoint_id in self._full:
            self.wake()

    async def work(self) -> float:
        if self._dispatcher.halted or not self._lease.valid() or self._dispatcher.stopping:
            return self._options.claim_poll_s
        now_ms = self._clock.now_ms()
        self._planned_ms = ANY_TIME_MS  # what becomes due while we look is not missed: it wakes us
        due = await self.list_due(now_ms)
        if self._dispatcher.behind:
            self._dispatcher.caught_up({one.endpoint_id for one in due})
        wants = self._wants(due)
        if wants:
            claimed = await self.bring(wants)
            self._note_empty(wants, claimed)
            if claimed:
                return 0.0
        return await self._until_next(now_ms)

    async def list_due(self, now_ms: int) -> list[DueLane]:
        """Lanes with something due. Many that cannot take anything now must not hide the ones behind them: look on."""
        limit = self._options.claim_lanes
        while True:
            due = await self._store.due_lanes(self._lease.node, now_ms, limit)
            if len(due) < limit or limit >= MOST_LANES:
                return due
            limit = min(4 * limit, MOST_LANES)

    async def bring(self, wants: list[Want]) -> list[Claimed]:
        """Claim and hand to the dispatcher."""
        node = self._lease.node
        claimed = await self._store.claim(node, wants, self._clock.now_ms())
        for one in claimed:
            lane = self._dispatcher.lanes.get(one.endpoint_id)
            if lane is not None:
                lane.cautious = one.is_suspect
        self._dispatcher.offer_all(
            Delivery(one.message, one.endpoint_id, node.epoch, kind=one.kind, number=one.attempts + 1, has_row=True)
            for one in claimed
        )
        return claimed

    def _wants(self, due: list[DueLane]) -> list[Want]:
        now_ms, now_s = self._clock.now_ms(), self._clock.monotonic_s()
        self._empty_until_s = {key: until for key, until in self._empty_until_s.items() if until > now_s}
        self._full.clear()
        rooms: list[tuple[DueLane, int]] = []
        for one in due:
            if one.health.state != LaneState.CLOSED.value or one.endpoint_id in self._empty_until_s:
                continue
            lane = self._dispatcher.lane(one.endpoint_id, one.app_id, ordered=one.ordered)
            lane.adopt(one.health)
            lane.try_again(now_ms)
            room = lane.room(now_ms)
            if room <= 0 or (lane.queue and self._dispatcher.crowded):
                self._full.add(one.endpoint_id)
            else:
                rooms.append((one, room))
        return self._share_out(rooms)

    def _share_out(self, rooms: list[tuple[DueLane, int]]) -> list[Want]:
        """An equal share for each, longest unserved first; what some have no room for goes to the next."""
        rooms.sort(key=lambda item: self._served.get(item[0].endpoint_id, 0))  # stable: else longest due first
        served = {one.endpoint_id: self._served[one.endpoint_id] for one, _ in rooms if one.endpoint_id in self._served}
        left = self._options.max_claim
        wants = []
        for index, (one, room) in enumerate(rooms):
            take = min(room, max(1, left // (len(rooms) - index)))
            if left < take:
                break
            left -= take
            self._shares += 1
            served[one.endpoint_id] = self._shares
            wants.append(Want(one.endpoint_id, take, one.ordered, one.keyed))
        self._served = served
        return wants

    def _note_empty(self, wants: list[Want], claimed: list[Claimed]) -> None:
        got = {one.endpoint_id for one in claimed}
        until = self._clock.monotonic_s() + EMPTY_HANDED_S
        self._empty_until_s.update({want.endpoint_id: until for want in wants if want.endpoint_id not in got})

    async def _until_next(self, now_ms: int) -> float:
        next_ms = await self._store.next_due_at(now_ms)
        poll_s = self._options.claim_poll_s
        if next_ms is None:
            wait_s = poll_s
        elif next_ms <= now_ms:  # due, but without room or left alone: a free slot wakes us
            wait_s = EMPTY_HANDED_S if self._full or self._empty_until_s else poll_s
        else:
            wait_s = min(poll_s, max(SHORTEST_SLEEP_S, (next_ms - now_ms) / 1000))
        self._planned_ms = now_ms + round(wait_s * 1000)
        return wait_s
