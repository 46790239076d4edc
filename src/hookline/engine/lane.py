"""The lane: what stands between one endpoint and everybody else.

    closed ──`breaker_failures` in a row, over `breaker_failing_s`──> open until t
    open ──t passed, the Prober claims one or a fresh one comes──> half open ──success──> closed
                                                                       └──failure──> open, twice as long

A lane bounds the requests in flight (`limit`, and a share of the places that are free in all, so that many hanging
endpoints leave room for the others), paces them (see `engine.pace`), and holds a bounded queue; what does
not fit becomes `pending`. A closed lane can be *held* until a moment: a receiver that answers 429, 502, 503 or
504 asks for that, and its limit is halved; each success lifts the limit by one. While a lane is held or open it sends
nothing, so what would wait for more than a moment goes to `pending`, where the other nodes see it too.

An ordered lane has one request in flight; the next one starts when the outcome of the last is on disk. One that is
*keyed* is like any other: of each key only the first delivery can be claimed at all.
Pure state: the dispatcher acts.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

from hookline.engine.delivery import Delivery
from hookline.engine.options import EngineOptions
from hookline.store.changes import LaneHealth

if TYPE_CHECKING:
    from hookline.engine.pace import Pace

BRISK_MS = 250.0  # a lane that answers faster than this waits for us, not we for it
_EWMA_WEIGHT = 0.2
PACED_QUEUE_S = 2.0  # so much of its rate a lane holds in memory
SHARE = 4  # a lane may have as many requests in flight as a quarter of the places that are still free


class LaneState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Lane:
    """One endpoint's queue, bounds and health, in this node's memory."""

    __slots__ = (
        "_options",
        "answer_ms",
        "app_id",
        "cautious",
        "doubted",
        "endpoint_id",
        "failing_since_ms",
        "failures",
        "hold_until_ms",
        "in_flight",
        "keyed",
        "limit",
        "most_queued",
        "open_for_s",
        "ordered",
        "paces",
        "queue",
        "quiet_since_s",
        "state",
        "table_version",
        "updated_at_ms",
        "waiting",
    )

    def __init__(self, endpoint_id: str, app_id: str, options: EngineOptions, *, ordered: bool) -> None:
        self.endpoint_id = endpoint_id
        self.app_id = app_id
        self.ordered = ordered
        self._options = options
        self.queue: deque[Delivery] = deque()
        self.in_flight = 0
        self.keyed = False
        self.limit = 1 if ordered else options.lane_concurrency
        self.state = LaneState.CLOSED
        self.hold_until_ms = 0  # wall clock: shared with the other nodes
        self.open_for_s = options.breaker_open_s
        self.failures = 0
        self.failing_since_ms: int | None = None
        self.answer_ms = 0.0
        self.table_version = -1  # of the application's endpoints, as we last saw them
        self.paces: tuple[Pace, ...] = ()  # the rates that each of its messages goes under
        self.most_queued = options.lane_queue
        self.quiet_since_s = 0.0  # monotonic: the last answer, or the first start since nothing was in flight
        self.updated_at_ms: int | None = None  # of the endpoint, as we last saw it
        self.doubted = False  # the database says open, we have no reason to think so
        self.cautious = False  # its last claim was a suspect: nothing is claimed now that could not be sent at once
        self.waiting = False  # is in the dispatcher's circle, or waits for a timer

    def brisk(self, now_s: float) -> bool:
        """Whether the receiver answers quickly; one that has not answered for a while does not."""
        if self.in_flight and (now_s - self.quiet_since_s) * 1000 >= BRISK_MS:
            return False
        return self.answer_ms < BRISK_MS

    @property
    def idle(self) -> bool:
        return not self.queue and not self.in_flight and not self.waiting

    def troubled(self, now_ms: int) -> bool:
        """Whether there is something to remember, or to forgive when the endpoint is changed."""
        return self.state is not LaneState.CLOSED or self.hold_until_ms > now_ms or self.failures > 0

    def sends(self, now_ms: int) -> bool:
        """Whether this lane may send at all at this moment."""
        return self.hold_until_ms <= now_ms and self.state is not LaneState.OPEN

    def has_slot(self, free: int) -> bool:
        """Whether one more may be in flight to this endpoint; `free` places are left for all of them together.

        A lane without any is never refused here: it waits its turn for a place, whoever has the others.
        """
        if not self.in_flight:
            return True
        if self.state is LaneState.HALF_OPEN:
            return False
        return self.in_flight < self.limit and self.in_flight * SHARE < free

    def become(self, *, ordered: bool) -> None:
        """The endpoint was switched between ordered and not."""
        self.ordered = ordered
        self.limit = 1 if ordered else self._options.lane_concurrency

    def go_under(self, paces: tuple[Pace, ...]) -> None:
        """Its rates from now on. What cannot be sent within a moment waits in `pending`, where all nodes see it."""
        self.paces = paces
        self.most_queued = self._options.lane_queue
        if paces:
            rate = min(pace.rate for pace in paces)
            self.most_queued = max(1, min(self.most_queued, round(rate * PACED_QUEUE_S)))

    def meet(self, updated_at_ms: int) -> None:
        """See the endpoint as it is now; when it was changed since the last time, the lane starts afresh."""
        known, self.updated_at_ms = self.updated_at_ms, updated_at_ms
        if known is not None and known != updated_at_ms:
            self.returned()

    def try_again(self, now_ms: int) -> None:
        """An open lane whose time has passed lets one delivery through."""
        if self.state is LaneState.OPEN and self.hold_until_ms <= now_ms and not self.in_flight:
            self.state = LaneState.HALF_OPEN

    def doubt(self) -> None:
        """Another node found this endpoint dead while we have requests to it in flight: our next success is told."""
        self.doubted = True

    def room(self, now_ms: int) -> int:
        """How many claimed deliveries it can take now."""
        if not self.sends(now_ms):
            return 0
        if self.cautious:
            return 1 if not self.queue and self.in_flight < self.limit else 0
        if self.ordered:
            room = min(self._options.ordered_room, self.most_queued)
            return room if not self.in_flight and not self.queue else 0
        if self.state is LaneState.HALF_OPEN:
            return 0 if self.in_flight or self.queue else 1
        room = 2 * self.limit - self.in_flight - len(self.queue)
        if self.paces:
            room = min(room, self.most_queued - len(self.queue))
        return max(0, room)

    def succeeded(self, duration_ms: float) -> bool:
        """Take note of a success. True when the lane's health changed and the other nodes should know."""
        self.answer_ms += _EWMA_WEIGHT * (duration_ms - self.answer_ms)
        if self.limit < self._options.lane_concurrency and not self.ordered:
            self.limit += 1
        if not self.failures and self.state is LaneState.CLOSED and not self.doubted:
            return False
        changed = self.state is not LaneState.CLOSED or self.doubted
        self.doubted = False
        self.failures = 0
        self.failing_since_ms = None
        self.state = LaneState.CLOSED
        self.open_for_s = self._options.breaker_open_s
        return changed

    def failed(self, duration_ms: float, now_ms: int, jitter: float) -> bool:
        """Take note of a failure. True when the lane opened. `jitter` in 0.8..1.2 spreads the probes of many lanes."""
        self.answer_ms += _EWMA_WEIGHT * (duration_ms - self.answer_ms)
        self.failures += 1
        if self.failing_since_ms is None:
            self.failing_since_ms = now_ms
        if self.state is LaneState.HALF_OPEN:
            self.open_for_s = min(2 * self.open_for_s, self._options.breaker_longest_open_s)
        elif (
            self.state is LaneState.OPEN
            or self.failures < self._options.breaker_failures
            or now_ms - self.failing_since_ms < self._options.breaker_failing_s * 1000
        ):
            return False
        self.state = LaneState.OPEN
        self.hold_until_ms = max(self.hold_until_ms, now_ms + round(self.open_for_s * jitter * 1000))
        return True

    def slow_down(self, until_ms: int) -> bool:
        """Hold the lane. True when the other nodes should know (not for every answer of a burst)."""
        worth_telling = until_ms >= self.hold_until_ms + 500
        if not self.ordered:
            self.limit = max(1, self.limit // 2)
        self.hold_until_ms = max(self.hold_until_ms, until_ms)
        return worth_telling

    def health(self) -> LaneHealth:
        return LaneHealth(
            endpoint_id=self.endpoint_id,
            app_id=self.app_id,
            state=self.state.value,
            open_until_ms=self.hold_until_ms,
            failures=self.failures,
            failing_since_ms=self.failing_since_ms,
        )

    def adopt(self, health: LaneHealth) -> None:
        """Another node, or an earlier life of this one, knows more about this endpoint."""
        self.hold_until_ms = max(self.hold_until_ms, health.open_until_ms)
        if self.state is LaneState.CLOSED and health.state == LaneState.OPEN.value and not self.in_flight:
            self.state = LaneState.OPEN
            self.failures = max(self.failures, health.failures)
            self.failing_since_ms = health.failing_since_ms

    def returned(self) -> None:
        """The endpoint was enabled or changed: a fresh start."""
        self.state = LaneState.CLOSED
        self.doubted = False
        self.hold_until_ms = 0
        self.failures = 0
        self.failing_since_ms = None
        self.open_for_s = self._options.breaker_open_s
