"""The dispatcher: hands deliveries to their endpoint's lane and starts requests as lanes take turns.

    offered ──lane sends, slot free──────> in flight ──answer──> recorder
       ├──queue has room─────────────────> waits in its lane's queue
       ├──no room, lane held or open─────> spilled to `pending`, due when the lane may send again
       ├──endpoint paused or disabled────> spilled to `pending`, parked there
       └──endpoint deleted───────────────> canceled

Lanes that have something to send and a free slot stand in a circle; whenever a request ends anywhere, the circle moves
on by one start for each free place. So a slow endpoint fills its own slots and nobody else's. Nothing starts while
outcomes cannot be recorded or the lease has ended: the dispatcher is then *halted* and the circle waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from hookline import crashpoints
from hookline.clock import Clock
from hookline.dialects import AttemptContext, DialectError
from hookline.egress import Failure, Reason, Request, Response, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.lane import Lane, LaneState
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Route, Routing
from hookline.model import EndpointStatus
from hookline.signatures import SignatureError

Answer = Response | Failure


class Recorder(Protocol):
    """What the dispatcher asks of whoever writes things down."""

    def record(self, delivery: Delivery, lane: Lane, route: Route, answer: Answer) -> None: ...
    def cancel(self, delivery: Delivery, reason: str) -> None: ...
    def spill(self, delivery: Delivery, due_at_ms: int) -> None: ...
    def tell_health(self, lane: Lane) -> None: ...


class Dispatcher:
    """All lanes of this node."""

    def __init__(
        self, transport: Transport, routing: Routing, lease: Lease, clock: Clock, options: EngineOptions
    ) -> None:
        self._transport = transport
        self._routing = routing
        self._lease = lease
        self._clock = clock
        self._options = options
        self.recorder: Recorder
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.on_slots_free: Callable[[str], None] = lambda _endpoint_id: None  # the Claimer likes to know
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
        return lane

    def queued(self) -> int:
        return sum(len(lane.queue) for lane in self.lanes.values())

    def congestion(self) -> int:
        """Deliveries that wait for this process, not for a slow receiver."""
        if len(self._circle) == 1:
            lane = self._circle[0]
            return len(lane.queue) if lane.brisk else 0
        return sum(len(lane.queue) for lane in self.lanes.values() if lane.queue and lane.brisk)

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
            self.offer(delivery)

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery that is leased to this node. It ends in an outcome or in `pending`, never nowhere."""
        table = self._routing.cached(delivery.message.app_id)
        if table is None:
            task = asyncio.get_running_loop().create_task(self._offer_when_loaded(delivery))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)
            return
        route = table.routes.get(delivery.endpoint_id)
        if route is None:
            self.recorder.cancel(delivery, "endpoint_deleted")
            return
        lane = self.lanes.get(delivery.endpoint_id)
        if lane is None:
            lane = self.lane(delivery.endpoint_id, delivery.message.app_id, ordered=route.endpoint.ordered)
        now_ms = self._clock.now_ms()
        if self.stopping or route.endpoint.status is not EndpointStatus.ENABLED:
            self.recorder.spill(delivery, now_ms)
        elif not lane.sends(now_ms):
            self.recorder.spill(delivery, lane.hold_until_ms)
        elif len(lane.queue) >= self._options.lane_queue and not delivery.has_row:
            self.recorder.spill(delivery, now_ms)
        else:
            lane.queue.append(delivery)
            if not lane.waiting and lane.has_slot():
                lane.waiting = True
                self._circle.append(lane)
            self._turn()

    async def _offer_when_loaded(self, delivery: Delivery) -> None:
        try:
            table = await self._routing.get(delivery.message.app_id)
        except Exception:  # noqa: BLE001
            # Failure policy: open. Without the endpoints nothing can be sent now; the delivery waits in `pending`
            # (the spill itself waits for the database), so nothing is lost.
            self.recorder.spill(delivery, self._clock.now_ms() + 1_000)
            return
        if table is None:
            self.recorder.cancel(delivery, "application_deleted")
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
            if not lane.queue or not lane.has_slot() or not lane.sends(self._clock.now_ms()):
                lane.waiting = False
                if lane.queue and not lane.sends(self._clock.now_ms()):
                    self.flush(lane)
                continue
            delivery = lane.queue.popleft()
            wait_s = self._start(lane, delivery)
            if wait_s > 0:
                lane.queue.appendleft(delivery)
                asyncio.get_running_loop().call_later(wait_s, self._return_to_circle, lane)
                continue  # `waiting` stays true: the timer brings the lane back
            if lane.queue and lane.has_slot():
                circle.append(lane)
            else:
                lane.waiting = False

    def _return_to_circle(self, lane: Lane) -> None:
        self._circle.append(lane)
        self._turn()

    def _start(self, lane: Lane, delivery: Delivery) -> float:
        """Start one request. Returns the seconds to wait instead when the endpoint's rate says so, else 0."""
        table = self._routing.cached(delivery.message.app_id)
        if table is None:
            self.offer(delivery)  # loads the table first
            return 0.0
        route = table.routes.get(delivery.endpoint_id)
        if route is None:
            self.recorder.cancel(delivery, "endpoint_deleted")
            return 0.0
        if not route.enabled:
            self.recorder.spill(delivery, self._clock.now_ms())
            return 0.0
        rate = route.endpoint.throttle_rate
        if rate:
            now_s = self._clock.monotonic_s()
            if lane.next_start_s > now_s:
                return lane.next_start_s - now_s
            lane.next_start_s = max(lane.next_start_s, now_s - 1 / rate) + 1 / rate
        lane.in_flight += 1
        self.in_flight += 1
        self._idle.clear()
        done = partial(self._done, lane, delivery, route)
        try:
            built = route.prepared.build(
                delivery.message, AttemptContext(number=delivery.number, now_ms=self._clock.now_ms())
            )
        except (DialectError, SignatureError) as error:
            asyncio.get_running_loop().call_soon(done, Failure(Reason.INVALID_REQUEST, error.message))
            return 0.0
        request = Request(built.method, built.url, built.headers, built.body, route.policy.timeout_s)
        self._transport.start(request, done)
        return 0.0

    def _done(self, lane: Lane, delivery: Delivery, route: Route, answer: Answer) -> None:
        crashpoints.reach("after_send_before_record")
        lane.in_flight -= 1
        self.in_flight -= 1
        self.recorder.record(delivery, lane, route, answer)
        if not lane.ordered:  # an ordered lane goes on when the outcome is on disk
            self._go_on(lane)
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
            elif not lane.waiting and lane.has_slot():
                lane.waiting = True
                self._circle.append(lane)
        elif lane.has_slot():
            self.on_slots_free(lane.endpoint_id)

    def flush(self, lane: Lane) -> None:
        """What waits in a lane that may not send now goes to `pending`, due when it may again."""
        due_at_ms = max(self._clock.now_ms(), lane.hold_until_ms)
        while lane.queue:
            self.recorder.spill(lane.queue.popleft(), due_at_ms)

    # Health, stopping

    def refresh(self, app_id: str) -> None:
        """Endpoints of an application changed: its lanes start afresh where an endpoint came back."""
        for lane in [lane for lane in self.lanes.values() if lane.app_id == app_id]:
            if lane.state is not LaneState.HALF_OPEN:
                lane.returned()

    def forget_idle_lanes(self) -> None:
        """Memory follows what is in use: lanes that rest and are healthy are made again when needed."""
        now_ms = self._clock.now_ms()
        for endpoint_id in [
            key for key, lane in self.lanes.items() if lane.idle and lane.hold_until_ms <= now_ms and not lane.failures
        ]:
            del self.lanes[endpoint_id]

    def drop_queues(self) -> list[Delivery]:
        """Empty every queue without a word (the lease is gone); returns what was in them."""
        dropped = [delivery for lane in self.lanes.values() for delivery in lane.queue]
        for lane in self.lanes.values():
            lane.queue.clear()
        return dropped

    def spill_queues(self) -> None:
        """Graceful stop: what has not started goes to `pending`, free."""
        self.stopping = True
        for lane in self.lanes.values():
            self.flush(lane)

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
