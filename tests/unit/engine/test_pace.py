"""A pace: slots used in their time, lanes that take turns, and when more are asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hookline.clock import ManualClock
from hookline.engine.lane import Lane
from hookline.engine.options import EngineOptions
from hookline.engine.pace import LATE_S, Pace
from hookline.engine.pacer import Pacer
from hookline.store import StoreUnavailableError
from hookline.store.changes import SlotRequest, Slots
from hookline.store.pacing import Rates


def make_lane(name: str, *paces: Pace, waiting: int = 1, **options: Any) -> Lane:
    lane = Lane(name, "app", EngineOptions(**options), ordered=False)
    lane.go_under(paces)
    lane.queue.extend([object()] * waiting)  # type: ignore[list-item]
    return lane


def test_slots_are_used_in_their_time():
    pace = Pace("ep", 10)
    assert not pace.is_ready(0.0)
    pace.add(1.0, 3)
    assert not pace.is_ready(0.99)
    assert pace.is_ready(1.0)
    pace.take()
    assert not pace.is_ready(1.0)
    assert pace.next_s() == pytest.approx(1.1)
    assert pace.is_ready(1.1 + LATE_S)
    assert not pace.is_ready(1.3 + LATE_S)  # both are gone
    assert pace.next_s() is None


def test_a_change_of_the_rate_asks_anew():
    pace = Pace("ep", 10)
    pace.add(1.0, 3)
    pace.change(20)
    assert not pace.is_ready(1.0)
    assert pace.runs_out(1.0)


def test_more_is_asked_for_before_the_last_slot():
    pace = Pace("ep", 100)
    pace.add(1.0, 10)
    assert not pace.runs_out(1.0)
    assert pace.runs_out(1.06)


def test_no_more_is_asked_for_than_can_be_used_soon():
    pace = Pace("ep", 80)
    assert pace.count_wanted() == 1
    pace.waiting.append(make_lane("ep", pace, waiting=3))
    assert pace.count_wanted() == 3
    pace.waiting.append(make_lane("ep", pace, waiting=300))
    assert pace.count_wanted() == 10
    pace.waiting.clear()
    pace.wanted = 4
    assert (pace.count_wanted(), pace.count_wanted()) == (4, 1)
    assert Pace("slow", 1).count_wanted() == 1


def test_a_lane_under_a_rate_holds_what_it_can_send_within_a_moment():
    assert make_lane("ep", Pace("ep", 10), Pace("app", 3)).most_queued == 6
    assert make_lane("ep", Pace("ep", 1)).most_queued == 2
    assert make_lane("ep", Pace("ep", 65_535), lane_queue=50).most_queued == 50
    lane = make_lane("ep", Pace("ep", 2), waiting=3)
    assert lane.room(0) == 1
    lane.go_under(())
    assert lane.most_queued == EngineOptions().lane_queue


class Store:
    """What a Pacer asks of a store, without one."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.rates = Rates()
        self.asked: list[SlotRequest] = []
        self.away = self.forgets = False
        self.meanwhile: Callable[[], None] = lambda: None  # what happens while it is asked

    async def take_slots(self, requests: Sequence[SlotRequest]) -> list[Slots]:
        if self.away:
            raise StoreUnavailableError("away")
        self.asked += requests
        self.meanwhile()
        return [] if self.forgets else self.rates.take(requests, round(self.clock.monotonic_s() * 1e9))


class Stage:
    """Lanes that send whenever they are let, in virtual time."""

    def __init__(self, rates: dict[str, int]) -> None:
        self.clock = ManualClock()
        self.store = Store(self.clock)
        self.pacer = Pacer(self.store, self.clock, random.Random(3))  # type: ignore[arg-type]
        self.pacer.on_ready = self.try_to_send
        self.paces = {key: self.pacer._pace(key, rate) for key, rate in rates.items()}
        self.sent: list[tuple[float, str]] = []

    def lane(self, name: str, waiting: int, *keys: str) -> Lane:
        lane = make_lane(name, *(self.paces[key] for key in keys), waiting=waiting)
        self.try_to_send(lane)
        return lane

    def try_to_send(self, lane: Lane) -> None:
        while lane.queue and self.pacer.admit(lane):
            lane.queue.popleft()
            self.sent.append((self.clock.monotonic_s(), lane.endpoint_id))

    async def ask(self) -> None:
        self.pacer._asked_at_s = float("-inf")
        await self.pacer.work()

    async def run(self, seconds: float, step_s: float = 0.005) -> None:
        for _ in range(round(seconds / step_s)):
            await self.ask()
            self.clock.advance(step_s)
            for timer in self.pacer._timers.values():
                timer.cancel()
            self.pacer._timers.clear()
            for pace in self.paces.values():
                self.pacer._turn(pace)

    def busiest_second(self) -> int:
        moments = [moment for moment, _ in self.sent]
        return max(sum(1 for other in moments if moment <= other < moment + 1) for moment in moments)


@pytest.mark.parametrize("rate", [1, 7, 50, 200])
async def test_a_rate_holds_and_is_used(rate):
    stage = Stage({"ep": rate})
    stage.lane("ep", 10 * rate, "ep")
    await stage.run(5)
    assert stage.busiest_second() <= rate + 1
    assert len(stage.sent) >= 5 * rate - max(1, rate // 20)


async def test_lanes_of_one_application_share_its_rate_in_turns():
    stage = Stage({"app": 30})
    for name in ("a", "b", "c"):
        stage.lane(name, 100, "app")
    await stage.run(3)
    assert stage.busiest_second() <= 31
    counts = [sum(1 for _, who in stage.sent if who == name) for name in ("a", "b", "c")]
    assert sum(counts) >= 85
    assert max(counts) - min(counts) <= 2


async def test_a_slower_endpoint_does_not_hold_the_application_up():
    stage = Stage({"app": 40, "slow": 5})
    stage.lane("slow", 100, "app", "slow")
    stage.lane("free", 200, "app")
    await stage.run(3)
    assert stage.busiest_second() <= 41
    slow = sum(1 for _, who in stage.sent if who == "slow")
    assert 13 <= slow <= 16
    assert len(stage.sent) >= 110


async def test_what_waits_asks_again_when_the_database_is_back():
    stage = Stage({"ep": 10})
    stage.store.away = True
    stage.lane("ep", 3, "ep")
    with pytest.raises(StoreUnavailableError):
        await stage.pacer.work()
    assert stage.sent == []
    stage.store.away = False
    await stage.run(0.5)
    assert len(stage.sent) == 3


async def test_a_rate_that_changes_while_it_is_asked_for_is_asked_for_anew():
    stage = Stage({"ep": 10})
    stage.store.meanwhile = lambda: stage.paces["ep"].change(20)
    stage.lane("ep", 3, "ep")
    await stage.ask()
    await stage.ask()
    assert [asked.rate for asked in stage.store.asked] == [10, 20]


async def test_who_gets_no_answer_asks_again():
    """A rate's row may go, because nobody used it for so long, between the moment it is made and the next."""
    stage = Stage({"ep": 10})
    stage.store.forgets = True
    stage.lane("ep", 3, "ep")
    await stage.ask()
    await stage.ask()
    assert [asked.rate for asked in stage.store.asked] == [10, 10]


async def test_nobody_waits_for_a_rate_that_is_gone():
    stage = Stage({"ep": 1})
    lane = stage.lane("ep", 5, "ep")
    lane.go_under(())
    stage.pacer.release([stage.paces["ep"]])
    assert len(stage.sent) == 5
    stage.pacer.forget([lane])
    assert stage.pacer._paces == {}
