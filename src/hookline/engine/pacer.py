"""Pacer: gets slots for the rates that this node has something to send under, one statement for all of them.

    asleep ──a lane needs a slot──> asks the store ──slots──> lanes go on, asleep
                                       └──others have them──> asks again when the next ones can be had

Rates that nobody waits under cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.lane import Lane
from hookline.engine.pace import Pace
from hookline.engine.routing import RoutingTable
from hookline.model import Endpoint
from hookline.model.policy import Random
from hookline.store.changes import SlotRequest
from hookline.store.protocol import EngineStore

ASK_EVERY_S: Final = 0.02  # so much company a request for slots waits for, after the last one
SPREAD_S: Final = 0.05  # nodes that wait for the same slot ask at different moments, so that each gets one in turn
REST_S: Final = 60.0


class Pacer(Background):
    """`admit` is the dispatcher's question; `on_ready` is told of lanes whose moment has come."""

    name = "pacer"
    retry_s = 0.5

    def __init__(self, store: EngineStore, clock: Clock, rng: Random) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._rng = rng
        self.on_ready: Callable[[Lane], None]
        self._paces: dict[str, Pace] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._asking: dict[str, Pace] = {}
        self._in_hand: set[str] = set()  # asked for just now
        self._asked_at_s = float("-inf")

    # What the dispatcher asks

    def paces_of(self, endpoint: Endpoint, table: RoutingTable) -> tuple[Pace, ...]:
        """The rates that a message to this endpoint goes under: its application's, its own."""
        wanted = ((table.app_id, table.throttle_rate), (endpoint.id, endpoint.throttle_rate))
        return tuple(self._pace(key, rate) for key, rate in wanted if rate)

    def admit(self, lane: Lane) -> bool:
        """Take a slot of each of its paces for one message of a lane. False: the lane waits and is told."""
        now_s = self._clock.monotonic_s()
        for pace in lane.paces:
            if not pace.is_ready(now_s):
                pace.waiting.append(lane)
                self._await(pace, now_s)
                return False
        for pace in lane.paces:
            pace.take()
            more = len(lane.queue) - 1
            if (more or pace.waiting) and pace.runs_out(now_s):
                pace.wanted += more
                self._ask(pace)
        return True

    def release(self, paces: Iterable[Pace]) -> None:
        """Let whoever waits look again: their rates may have changed."""
        for pace in paces:
            for _ in range(len(pace.waiting)):
                self.on_ready(pace.waiting.popleft())

    def forget(self, lanes: Iterable[Lane]) -> None:
        """Memory follows what is in use."""
        used = {pace.key for lane in lanes for pace in lane.paces}
        for key in [key for key, pace in self._paces.items() if key not in used and not pace.waiting]:
            del self._paces[key]
            self._asking.pop(key, None)

    # Rounds

    async def work(self) -> float:
        alone_s = self._asked_at_s + ASK_EVERY_S - asyncio.get_running_loop().time()
        if alone_s > 0:
            return alone_s
        now_s = self._clock.monotonic_s()
        due = [pace for pace in self._asking.values() if pace.ask_at_s <= now_s]
        if due:
            self._asked_at_s = asyncio.get_running_loop().time()
            await self._get(due)
        if not self._asking:
            return REST_S
        soonest_s = min(pace.ask_at_s for pace in self._asking.values())
        return max(ASK_EVERY_S, soonest_s - self._clock.monotonic_s())

    async def stop(self) -> None:
        await super().stop()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _get(self, paces: list[Pace]) -> None:
        rates = {pace.key: pace.rate for pace in paces}
        asked = [SlotRequest(pace.key, pace.rate, pace.count_wanted()) for pace in paces]
        for pace in paces:
            self._asking.pop(pace.key, None)
        self._in_hand = set(rates)
        try:
            given = await self._store.take_slots(asked)
        except BaseException:
            # Failure policy: closed. Without slots nothing goes out; the lanes wait and we ask again.
            self._asking.update({pace.key: pace for pace in paces})
            raise
        finally:
            self._in_hand = set()
        now_s = self._clock.monotonic_s()
        for slots in given:
            known = self._paces.get(slots.key)
            if known is None or known.rate != rates[slots.key]:
                continue  # nobody wants them any more, or not at this rate
            if slots.count:
                known.add(now_s + slots.delay_s, slots.count)
            else:
                known.ask_at_s = now_s + slots.delay_s + self._rng.uniform(0.0, SPREAD_S)
        # Whoever waits is told of the slots, or asks again: also where there was no answer, or one for an old rate.
        for key in rates:
            waited_for = self._paces.get(key)
            if waited_for is not None and waited_for.waiting:
                self._await(waited_for, now_s)

    # Parts

    def _pace(self, key: str, rate: int) -> Pace:
        pace = self._paces.get(key)
        if pace is None:
            pace = self._paces[key] = Pace(key, rate)
        elif pace.rate != rate:
            pace.change(rate)
        return pace

    def _ask(self, pace: Pace) -> None:
        if pace.key not in self._asking and pace.key not in self._in_hand:
            self._asking[pace.key] = pace
            self.wake()

    def _await(self, pace: Pace, now_s: float) -> None:
        """Somebody waits: for the moment of the next slot, or for slots."""
        next_s = pace.next_s()
        if next_s is None:
            self._ask(pace)
        elif pace.key not in self._timers:
            wait_s = max(0.0, next_s - now_s)
            self._timers[pace.key] = asyncio.get_running_loop().call_later(wait_s, self._turn, pace)

    def _turn(self, pace: Pace) -> None:
        """The moment of a slot: whoever waits longest goes first, and stands at the end again if it has more."""
        self._timers.pop(pace.key, None)
        while pace.waiting and pace.is_ready(self._clock.monotonic_s()):
            self.on_ready(pace.waiting.popleft())
        if pace.waiting:
            self._await(pace, self._clock.monotonic_s())
