"""The small parts: lease, sharing out of claims, outbox faults, histogram, background services, options."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter

import pytest

from hookline.clock import ManualClock
from hookline.egress.memory import MemoryTransport
from hookline.engine.background import Background
from hookline.engine.claimer import EMPTY_HANDED_S, SHORTEST_SLEEP_S, Claimer
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.pacer import Pacer
from hookline.engine.relay import fault_of
from hookline.engine.routing import Routing
from hookline.engine.stats import LATENCY_BUCKETS_S, Histogram
from hookline.store.changes import DueLane, LaneHealth, NodeLease, OutboxRow
from hookline.store.errors import StoreUnavailableError

NODE = NodeLease("node_1", 3)


# Lease


def test_a_lease_counts_from_before_it_was_asked_for():
    clock = ManualClock()
    lease = Lease(clock, 15.0)
    assert not lease.valid()
    asked_at_s = clock.monotonic_s()
    clock.advance(2)  # the answer took so long
    lease.renewed(NODE, asked_at_s)
    clock.advance(12.9)
    assert lease.valid()
    clock.advance(0.2)
    assert not lease.valid()
    assert lease.epoch == 3


def test_a_lost_lease_is_invalid_at_once():
    clock = ManualClock()
    lease = Lease(clock, 15.0)
    lease.renewed(NODE, clock.monotonic_s())
    lease.lost()
    assert not lease.valid()


# Claimer


class DueStore:
    """What the Claimer asks, without a database: lanes that are due, and when the next one is."""

    def __init__(self) -> None:
        self.due: list[DueLane] = []
        self.next_ms: int | None = None
        self.limits: list[int] = []

    async def due_lanes(self, node: NodeLease, now_ms: int, limit: int) -> list[DueLane]:
        self.limits.append(limit)
        return self.due[:limit]

    async def next_due_at(self, now_ms: int) -> int | None:
        return self.next_ms

    async def claim(self, node: NodeLease, wants: object, now_ms: int) -> list[object]:
        return []


def due(name: str, **health: object) -> DueLane:
    fields = {"state": "closed", "open_until_ms": 0, "failures": 0, "failing_since_ms": None} | health
    return DueLane(name, "app", "org", False, 5, LaneHealth(name, "app", **fields))


def make_claimer(**settings: object) -> tuple[Claimer, DueStore, ManualClock]:
    clock, store = ManualClock(), DueStore()
    options = EngineOptions(**{"lane_concurrency": 8, "max_claim": 20, "claim_lanes": 4} | settings)
    lease = Lease(clock, 15.0)
    lease.renewed(NODE, clock.monotonic_s())
    pacer = Pacer(store, clock, random.Random(1))
    dispatcher = Dispatcher(MemoryTransport(), Routing(store, options), pacer, lease, clock, options)
    return Claimer(store, dispatcher, lease, clock, options), store, clock


@pytest.mark.parametrize(
    ("next_in_ms", "sleeps_s"),
    [(None, 1.0), (5_000, 1.0), (300, 0.3), (3, SHORTEST_SLEEP_S), (0, 1.0), (-50, 1.0)],
)
async def test_the_claimer_sleeps_until_something_is_due(next_in_ms, sleeps_s):
    claimer, store, clock = make_claimer()
    store.next_ms = None if next_in_ms is None else clock.now_ms() + next_in_ms
    assert await claimer.work() == pytest.approx(sleeps_s)
    assert claimer._planned_ms == clock.now_ms() + round(sleeps_s * 1000)


async def test_the_claimer_looks_again_soon_after_a_lane_that_was_due_gave_nothing():
    claimer, store, clock = make_claimer()
    store.due, store.next_ms = [due("a")], clock.now_ms()
    assert await claimer.work() == EMPTY_HANDED_S
    assert claimer._wants(store.due) == []  # left alone for a while
    clock.advance(EMPTY_HANDED_S + 0.01)
    assert [want.endpoint_id for want in claimer._wants(store.due)] == ["a"]


async def test_only_what_is_due_before_the_planned_moment_wakes_the_claimer():
    claimer, _, clock = make_claimer()
    await claimer.work()
    claimer.note_due(clock.now_ms() + 2_000)
    assert not claimer._wake.is_set()
    claimer.note_due(clock.now_ms() + 500)
    assert claimer._wake.is_set()


async def test_what_becomes_due_during_a_round_is_not_slept_over():
    claimer, store, clock = make_claimer()
    original = store.next_due_at

    async def next_due_at(now_ms: int) -> int | None:
        claimer.note_due(clock.now_ms() + 100)  # committed after the database was asked
        return await original(now_ms)

    store.next_due_at = next_due_at
    await claimer.work()
    assert claimer._wake.is_set()


async def test_a_free_slot_wakes_the_claimer_only_for_a_lane_that_had_no_room():
    claimer, _, _ = make_claimer()
    claimer._dispatcher.lane("full", "app").in_flight = 99
    assert claimer._wants([due("full")]) == []
    claimer.note_slot("other")
    assert not claimer._wake.is_set()
    claimer.note_slot("full")
    assert claimer._wake.is_set()


async def test_a_round_is_shared_out_evenly_and_what_is_left_over_goes_on():
    claimer, _, _ = make_claimer()
    claimer._dispatcher.lane("narrow", "app").in_flight = 15
    wants = claimer._wants([due("narrow"), due("a"), due("b")])
    assert {want.endpoint_id: want.room for want in wants} == {"narrow": 1, "a": 9, "b": 10}


async def test_lanes_that_did_not_get_a_share_come_first_the_next_time():
    claimer, _, _ = make_claimer(max_claim=2)
    lanes = [due(name) for name in "abcde"]
    served = Counter(want.endpoint_id for _ in range(25) for want in claimer._wants(lanes))
    assert served == dict.fromkeys("abcde", 10)


async def test_lanes_without_room_do_not_hide_those_behind_them():
    claimer, store, _ = make_claimer()
    store.due = [due(str(number)) for number in range(30)]
    for number in range(29):
        claimer._dispatcher.lane(str(number), "app").in_flight = 99
    found = await claimer.list_due(0)
    assert store.limits == [4, 16, 64]
    assert [want.endpoint_id for want in claimer._wants(found)] == ["29"]


async def test_open_lanes_are_left_to_the_prober_and_held_ones_alone():
    claimer, _, clock = make_claimer()
    lanes = [due("open", state="open"), due("held", open_until_ms=clock.now_ms() + 1_000), due("good")]
    assert [want.endpoint_id for want in claimer._wants(lanes)] == ["good"]


async def test_a_lane_that_we_think_open_while_the_database_says_closed_is_tried():
    claimer, _, clock = make_claimer(breaker_failures=1, breaker_failing_s=0)
    lane = claimer._dispatcher.lane("a", "app")
    lane.failed(1.0, clock.now_ms(), 1.0)
    assert claimer._wants([due("a")]) == []
    clock.advance(11)
    assert [want.room for want in claimer._wants([due("a")])] == [1]


# Outbox


def row(**changes: object) -> OutboxRow:
    fields = {"id": 1, "org_id": "o", "app": "a", "event_type": "a.b", "payload": b"{}"}
    return OutboxRow(**fields | {"event_id": None, "channels": ()} | changes)


@pytest.mark.parametrize("payload", [b"{}", b' {"a": [1, {"b": null}]} ', '{"ä": "ü"}'.encode()])
def test_json_objects_can_be_sent(payload):
    assert fault_of(row(payload=payload)) is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b'"x"', b"{", b"{}x", b'{"a": }', b'{"\xff": 1}', b"\x00"])
def test_anything_else_has_a_fault(payload):
    assert "not a JSON object" in fault_of(row(payload=payload))


@pytest.mark.parametrize("event_type", ["", "with space", "a/b", "x" * 257])
def test_an_event_type_can_have_a_fault(event_type):
    assert "is not an event type" in fault_of(row(event_type=event_type))


# Numbers


def test_a_histogram_counts_each_value_once_in_its_bucket():
    histogram = Histogram()
    for seconds in (0.0, 0.001, 0.0011, 0.5, 3_600, 3_601, 10**9):
        histogram.observe(seconds)
    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[LATENCY_BUCKETS_S.index(0.5)] == 1
    assert histogram.counts[-2:] == [1, 2]
    assert sum(histogram.counts) == 7
    assert histogram.total_s == pytest.approx(1_000_007_201.5021)


def test_histograms_do_not_share_their_counts():
    one, other = Histogram(), Histogram()
    one.observe(1)
    assert sum(other.counts) == 0


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EngineOptions().max_in_flight = 1


# Background services


class Rounds(Background):
    """Counts its rounds; `answers` are what each one does."""

    name = "rounds"
    retry_s = 0.001

    def __init__(self, *answers: float | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.rounds = 0
        self.seen = asyncio.Event()

    async def work(self) -> float:
        self.rounds += 1
        answer = self.answers.pop(0) if self.answers else 60.0
        if not self.answers:
            self.seen.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ValueError("a mistake"), TimeoutError()])
async def test_a_service_survives_a_bad_round(error):
    service = Rounds(error, 0.0, 60.0)
    service.start()
    await asyncio.wait_for(service.seen.wait(), 5)
    await service.stop()
    assert service.rounds == 3


async def test_a_wake_cuts_the_wait_short_and_one_during_the_round_is_not_lost():
    service = Rounds(60.0)

    async def work() -> float:
        service.rounds += 1
        if service.rounds == 1:
            service.wake()
            return 60.0
        service.seen.set()
        return 60.0

    service.seen.clear()
    service.work = work
    service.start()
    await asyncio.wait_for(service.seen.wait(), 5)
    await service.stop()
    assert service.rounds == 2


async def test_stop_lets_the_round_end():
    held, entered, ended = asyncio.Event(), asyncio.Event(), []

    class Slow(Background):
        async def work(self) -> float:
            entered.set()
            await held.wait()
            ended.append(True)
            return 0.0

    service = Slow()
    service.start()
    await entered.wait()
    stopping = asyncio.create_task(service.stop())
    await asyncio.sleep(0)
    held.set()
    await stopping
    assert ended == [True]


async def test_stop_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("hookline.engine.background.STOP_PATIENCE_S", 0.01)

    class Stuck(Background):
        async def work(self) -> float:
            await asyncio.Event().wait()
            return 0.0

    service = Stuck()
    service.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(service.stop(), 5)


async def test_a_service_can_be_started_again():
    service = Rounds(60.0)
    service.start()
    service.start()
    await asyncio.wait_for(service.seen.wait(), 5)
    await service.stop()
    service.seen.clear()
    service.start()
    await asyncio.wait_for(service.seen.wait(), 5)
    await service.stop()
    assert service.rounds == 2
