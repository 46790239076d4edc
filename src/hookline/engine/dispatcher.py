"""The dispatcher: hands deliveries to their endpoint's lane and starts requests as lanes take turns.

    offered ──lane sends, slot free──────> in flight ──answer──> recorder
       ├──queue has room─────────────────> waits in its lane's queue (for a slot, where there is a rate)
       ├──no room, lane held or open─────> spilled to `pending`, due when the lane may send again
       ├──endpoint paused or disabled────> spilled to `pending`, parked there
       └──endpoint deleted───────────────> spilled to `pending`, canceled there by the Pruner

Lanes that have something to send and a free slot stand in a circle; whenever a request ends anywhere, the circle moves
on by one start for each free place. So a slow endpoint fills its own slots and nobody else's. Nothing starts while
outcomes cannot be recorded or the lease has ended: the dispatcher is then *halted* and the circle waits.

Our own table of endpoints may be behind another node's, so what it says of a delivery that cannot be sent is never
final: the row in `pending` is judged by the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Container, Coroutine, Iterable
from functools import partial
from typing import Protocol

from hookline import crashpoints
from hookline.clock import Clock
from hookline.egress import Failure, Reason, Response, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.errands import Errands, build_request
from hookline.engine.lane import Lane
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.pacer import Pacer
from hookline.engine.routing import Route, Routing, RoutingTable
from hookline.errors import HooklineError

log = logging.getLogger("hookline.engine.dispatcher")

AGAIN_MS = 1_000  # after a mishap of our own, a delivery waits so long

Answer = Response | Failure


class Recorder(Protocol):
    """What the dispatcher asks of whoever writes things down."""

    def record(self, delivery: Delivery, lane: Lane, route: Route, answer: Answer) -> bool:
        """True when the delivery stays the head of its ordered lane: what waits behind it cannot go on."""
        ...

    def spill(self, delivery: Delivery, due_at_ms: int) -> None: ...
    def tell_health(self, lane: Lane) -> None: ...


class Dispatcher:
    """All lanes of this node."""

    def __init__(
        self,
        transport: Transport,
        routing: Routing,
        pacer: Pacer,
        lease: Lease,
        clock: Clock,
        options: EngineOptions,
    ) -> None:
        self._transport = transport
        self.errands = Errands(transport, clock)
        self._pacer = pacer
        pacer.on_ready = self._return_to_circle
        self._routing = routing
        self._lease = lease
        self._clock = clock
        self._options = options
        self.recorder: Recorder
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.on_slots_free: Callable[[str], None] = lambda _endpoint_id: None  # the Claimer likes to know
        self.behind: set[str] = set()  # lanes under a rate that left something in `pending`: it goes first
        self._queued = 0
        self._circle: deque[Lane] = deque()
        self._halted: set[str] = set()
        self._loads: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = False

    # What others ask

    def lane(self, endpoint_id: str, app_id: str, *, ordered: bool = False) -> Lane:
        lane = self.lanes.get(endpoint_id)
        if lane is None:
            lane = self.lanes[endpoint_id] = Lane(endpoint_id, app_id, self._options, ordered=ordered)
        elif lane.ordered != ordered:
            if lane.ordered:  # what it has claimed was to go one after the other
                self.flush(lane)
            lane.become(ordered=ordered)
        return lane

    def queued(self) -> int:
        return self._queued

    @property
    def crowded(self) -> bool:
        """Whether so much waits in memory that only lanes that can send at once should get more."""
        return self._queued >= self._options.max_queued

    @property
    def _free(self) -> int:
        return self._options.max_in_flight - self.in_flight

    def congestion(self) -> int:
        """Deliveries that wait for this process, not for a slow receiver."""
        now_s = self._clock.monotonic_s()
        return sum(
            len(lane.queue) for lane in self.lanes.values() if lane.queue and not lane.paces and lane.brisk(now_s)
        )

    def halt(self, why: str) -> None:
        """Start nothing new. Reasons add up; each is lifted by `resume` with the same word."""
        self._halted.add(why)

    def resume(self, why: str) -> None:
        self._halted.discard(why)
        if not self._halted:
            self._turn()

    @property
    def halted(self) -> bool:
        return bool(self._halted)

    # The way of a delivery

    def offer_all(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            try:
                self.offer(delivery)
            except Exception:
                # Failure policy: open. A mistake of ours with one delivery; it waits in `pending`, the others go on.
                log.exception("cannot be dispatched", extra={"action": "dispatch_failed"})
                self.recorder.spill(delivery, self._clock.now_ms() + AGAIN_MS)

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery that is leased to this node. It ends in an outcome or in `pending`, never nowhere."""
        if delivery.epoch != self._lease.epoch:
            return  # this node was declared dead since: whoever rescued the delivery owes it now
        table = self._routing.cached(delivery.message.app_id)
        if table is None:
            self._load(self._offer_when_loaded(delivery))
            return
        route = table.routes.get(delivery.endpoint_id)
        now_ms = self._clock.now_ms()
        if self.stopping:
            self.recorder.spill(delivery, now_ms)
            return
        if route is None or not route.enabled:
            self._not_sent_now(delivery)
            return
        lane = self.lane(delivery.endpoint_id, delivery.message.app_id, ordered=route.is_sequence)
        if lane.table_version != table.version:
            self._meet(lane, route, table)
        lane.try_again(now_ms)
        if not lane.sends(now_ms):
            self.recorder.spill(delivery, lane.hold_until_ms)
        elif not delivery.has_row and self._is_full(lane):
            if lane.paces:
                self.behind.add(lane.endpoint_id)
            self.recorder.spill(delivery, now_ms)
        else:
            lane.queue.append(delivery)
            self._queued += 1
            if not lane.waiting and lane.has_slot(self._free):
                lane.waiting = True
                self._circle.append(lane)
            self._turn()

    def _is_full(self, lane: Lane) -> bool:
        if self.crowded:  # a lane that can send at once is not made to pay for those that cannot
            return bool(lane.queue) or not lane.has_slot(self._free)
        return len(lane.queue) >= lane.most_queued or lane.endpoint_id in self.behind

    def _meet(self, lane: Lane, route: Route, table: RoutingTable) -> None:
        """See a lane's endpoint and its application as they are now."""
        lane.table_version = table.version
        self.lane(lane.endpoint_id, lane.app_id, ordered=route.is_sequence)
        lane.keyed = route.endpoint.keyed
        lane.meet(route.endpoint.updated_at_ms)
        before = lane.paces
        lane.go_under(self._pacer.paces_of(route.endpoint, table))
        left = [pace for pace in before if pace not in lane.paces]
        if left:  # whoever waits there may be free to go
            asyncio.get_running_loop().call_soon(self._pacer.release, left)

    def caught_up(self, due: Container[str]) -> None:
        """What lanes left in `pending` is taken, but for those that are due."""
        self.behind = {endpoint_id for endpoint_id in self.behind if endpoint_id in due}

    def _not_sent_now(self, delivery: Delivery) -> None:
        """Its endpoint is gone, paused or disabled, as far as we know."""
        if delivery.has_row:
            # The database has just called this endpoint enabled: it is our table that is old, so load a new one.
            self._routing.invalidate(delivery.message.app_id)
        self.recorder.spill(delivery, self._clock.now_ms())

    def _load(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)

    async def _offer_when_loaded(self, delivery: Delivery) -> None:
        try:
            table = await self._routing.get(delivery.message.app_id)
        except Exception:  # noqa: BLE001
            # Failure policy: open. Without the endpoints nothing can be sent now; the delivery waits in `pending`
            # (the spill itself waits for the database), so nothing is lost.
            self.recorder.spill(delivery, self._clock.now_ms() + AGAIN_MS)
            return
        if table is None:
            self.recorder.spill(delivery, self._clock.now_ms())  # the application is gone
        elif self._routing.cached(delivery.message.app_id) is None:
            self.recorder.spill(delivery, self._clock.now_ms())  # it changes faster than we load
        else:
            self.offer(delivery)

    def _turn(self) -> None:
        """Start what can be started: one from each lane in the circle, round and round, while places are free."""
        circle = self._circle
        while circle and self.in_flight < self._options.max_in_flight and not self._halted:
            if not self._lease.valid():
                return
            lane = circle.popleft()
            sends = lane.sends(self._clock.now_ms())
            if not lane.queue or not sends or not lane.has_slot(self._free):
                lane.waiting = False
                if not sends:
                    self.flush(lane)
                continue
            if lane.paces and not self._pacer.admit(lane):
                continue  # `waiting` stays true: the pacer brings the lane back
            self._queued -= 1
            self._start(lane, lane.queue.popleft())
            if lane.queue and lane.has_slot(self._free):
                circle.append(lane)
            else:
                lane.waiting = False

    def _return_to_circle(self, lane: Lane) -> None:
        self._circle.append(lane)
        self._turn()

    def _start(self, lane: Lane, delivery: Delivery) -> None:
        """Start one request."""
        table = self._routing.cached(delivery.message.app_id)
        if table is None:
            self.offer(delivery)  # loads the table first
            return
        route = table.routes.get(delivery.endpoint_id)
        if route is None or not route.enabled:
            self._not_sent_now(delivery)
            return
        if lane.table_version != table.version:
            self._meet(lane, route, table)
        if not lane.in_flight:
            lane.quiet_since_s = self._clock.monotonic_s()
        lane.in_flight += 1
        self.in_flight += 1
        self._idle.clear()
        done = partial(self._done, lane, delivery, route)
        if route.has_errand:
            self._load(self._run_errand(route, delivery, done))
            return
        request = build_request(route, delivery, self._clock.now_ms())
        if isinstance(request, Failure):
            asyncio.get_running_loop().call_soon(done, request)
        else:
            self._transport.start(request, done)

    async def _run_errand(self, route: Route, delivery: Delivery, done: Callable[[Answer], None]) -> None:
        """Send to an endpoint that needs something first."""

        def may_send() -> bool:
            ours = delivery.epoch == self._lease.epoch and self._lease.valid()
            return ours and not self._halted and not self.stopping

        try:
            answer = await self.errands.run(route, delivery, may_send)
        except Exception as error:
            # Failure policy: open. A mistake of ours is that delivery's failed attempt.
            log.exception("an errand failed", extra={"action": "errand_failed"})
            detail = f"The request could not be made ({type(error).__name__})."
            answer = Failure(Reason.INVALID_REQUEST, detail)
        done(answer)

    def _done(self, lane: Lane, delivery: Delivery, route: Route, answer: Answer) -> None:
        crashpoints.reach("after_send_before_record")
        lane.in_flight -= 1
        self.in_flight -= 1
        lane.quiet_since_s = self._clock.monotonic_s()
        stays = self.recorder.record(delivery, lane, route, answer)
        if not lane.ordered:  # an ordered lane goes on when the outcome is on disk
            self._go_on(lane)
        elif stays:
            self.flush(lane)
        if self._circle:
            self._turn()
        if not self.in_flight:
            self._idle.set()

    def recorded(self, lane: Lane) -> None:
        """The outcome of an ordered lane's delivery is on disk."""
        self._go_on(lane)
        self._turn()

    def _go_on(self, lane: Lane) -> None:
        if lane.queue:
            if not lane.sends(self._clock.now_ms()):
                self.flush(lane)
            elif not lane.waiting and lane.has_slot(self._free):
                lane.waiting = True
                self._circle.append(lane)
        elif lane.has_slot(self._free):
            self.on_slots_free(lane.endpoint_id)

    def flush(self, lane: Lane) -> None:
        """What waits in a lane that may not send now goes to `pending`, due when it may again."""
        due_at_ms = max(self._clock.now_ms(), lane.hold_until_ms)
        self._queued -= len(lane.queue)
        while lane.queue:
            self.recorder.spill(lane.queue.popleft(), due_at_ms)

    def let_go(self, app_id: str) -> None:
        """Payloads of an application were removed: what waits in memory goes to `pending`, and whatever of it has no
        payload any more ends there. What is on its way to a receiver cannot be called back.
        """
        for lane in self.lanes.values():
            if lane.app_id == app_id:
                self.flush(lane)

    # Health, stopping

    def refresh(self, app_id: str) -> None:
        """Endpoints of an application changed: their lanes start afresh, those of the others stay as they are."""
        now_ms = self._clock.now_ms()
        if any(lane.app_id == app_id and (lane.paces or lane.troubled(now_ms)) for lane in self.lanes.values()):
            self._load(self._refresh(app_id))

    async def _refresh(self, app_id: str) -> None:
        try:
            table = await self._routing.get(app_id)
        except HooklineError as error:
            # Failure policy: open. A troubled lane recovers by its own probes, a little later.
            log.info("lanes not refreshed", extra={"action": "refresh_failed", "reason": error.message})
            return
        for lane in self.lanes.values():
            route = table.routes.get(lane.endpoint_id) if table is not None else None
            if route is not None and table is not None:
                self._meet(lane, route, table)

    def forget_idle_lanes(self) -> None:
        """Memory follows what is in use: lanes that rest and are healthy are made again when needed."""
        now_ms = self._clock.now_ms()
        for endpoint_id in [key for key, lane in self.lanes.items() if lane.idle and not lane.troubled(now_ms)]:
            del self.lanes[endpoint_id]
        self._pacer.forget(self.lanes.values())

    def drop_queues(self) -> list[Delivery]:
        """Empty every queue without a word (the lease is gone); returns what was in them."""
        self._queued = 0
        dropped = [delivery for lane in self.lanes.values() for delivery in lane.queue]
        for lane in self.lanes.values():
            lane.queue.clear()
        return dropped

    def spill_queues(self) -> None:
        """Graceful stop: what has not started goes to `pending`, free."""
        self.stopping = True
        for lane in self.lanes.values():
            self.flush(lane)

    def close(self) -> None:
        """After the last request."""
        self.errands.close()

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; False when time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
                while self._loads:
                    await asyncio.wait(self._loads)
        except TimeoutError:
            return False
        return True
