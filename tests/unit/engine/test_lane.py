"""The lane's state, moved by hand: breaker, hold, limits, room."""

from __future__ import annotations

import pytest

from hookline.engine.delivery import Delivery
from hookline.engine.lane import Lane, LaneState
from hookline.engine.options import EngineOptions
from hookline.store.changes import LaneHealth
from support.samples import make_message

OPTIONS = EngineOptions(lane_concurrency=8, breaker_failures=3, breaker_failing_s=10, breaker_open_s=10, ordered_room=5)
NOW = 1_000_000
PLENTY = 10_000


@pytest.fixture
def lane() -> Lane:
    return Lane("ep_1", "app_1", OPTIONS, ordered=False)


@pytest.fixture
def ordered() -> Lane:
    return Lane("ep_1", "app_1", OPTIONS, ordered=True)


def fail(lane: Lane, *, times: int = 1, at_ms: int = NOW, jitter: float = 1.0) -> list[bool]:
    return [lane.failed(5.0, at_ms, jitter) for _ in range(times)]


def open_lane(lane: Lane) -> int:
    """Open it; the moment."""
    fail(lane, times=3)
    assert fail(lane, at_ms=NOW + 10_000) == [True]
    return NOW + 10_000


def delivery() -> Delivery:
    return Delivery(make_message(), "ep_1", 1)


def test_many_failures_at_once_do_not_open_a_lane(lane):
    assert not any(fail(lane, times=100))
    assert lane.state is LaneState.CLOSED


def test_few_failures_over_a_long_time_do_not_open_a_lane(lane):
    assert not any([*fail(lane), *fail(lane, at_ms=NOW + 60_000)])
    assert lane.sends(NOW + 60_000)


def test_many_failures_over_a_long_time_open_it(lane):
    opened_ms = open_lane(lane)
    assert lane.state is LaneState.OPEN
    assert not lane.sends(opened_ms)
    assert lane.hold_until_ms == opened_ms + 10_000


def test_one_success_between_them_starts_the_count_anew(lane):
    fail(lane, times=3)
    assert lane.succeeded(5.0) is False
    assert not any(fail(lane, times=3, at_ms=NOW + 10_000))


def test_failures_that_were_under_way_when_it_opened_do_not_prolong_it(lane):
    opened_ms = open_lane(lane)
    until = lane.hold_until_ms
    assert not any(fail(lane, times=50, at_ms=opened_ms + 5_000))
    assert lane.hold_until_ms == until


def test_jitter_spreads_the_probes(lane):
    fail(lane, times=3)
    fail(lane, at_ms=NOW + 10_000, jitter=1.2)
    assert lane.hold_until_ms == NOW + 10_000 + 12_000


def test_an_open_lane_lets_one_through_when_its_time_has_come(lane):
    opened_ms = open_lane(lane)
    lane.try_again(opened_ms + 9_999)
    assert lane.state is LaneState.OPEN
    lane.try_again(opened_ms + 10_000)
    assert lane.state is LaneState.HALF_OPEN
    assert lane.sends(opened_ms + 10_000)
    assert lane.has_slot(PLENTY)
    assert lane.room(opened_ms + 10_000) == 1
    lane.in_flight = 1
    assert not lane.has_slot(PLENTY)
    assert lane.room(opened_ms + 10_000) == 0


def test_while_old_requests_hang_an_open_lane_is_not_tried(lane):
    opened_ms = open_lane(lane)
    lane.in_flight = 3
    lane.try_again(opened_ms + 60_000)
    assert lane.state is LaneState.OPEN


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest(lane):
    at_ms = open_lane(lane)
    lengths = []
    for _ in range(8):
        at_ms = lane.hold_until_ms
        lane.try_again(at_ms)
        assert fail(lane, at_ms=at_ms) == [True]
        lengths.append((lane.hold_until_ms - at_ms) // 1000)
    assert lengths == [20, 40, 80, 160, 300, 300, 300, 300]


def test_a_successful_probe_closes_it_and_forgets_everything(lane):
    opened_ms = open_lane(lane)
    lane.try_again(opened_ms + 10_000)
    assert lane.succeeded(5.0) is True
    assert (lane.state, lane.failures, lane.failing_since_ms) == (LaneState.CLOSED, 0, None)
    assert lane.open_for_s == OPTIONS.breaker_open_s
    assert lane.health().state == "closed"


def test_a_held_lane_sends_nothing_until_then(lane):
    assert lane.slow_down(NOW + 5_000) is True
    assert not lane.sends(NOW + 4_999)
    assert lane.room(NOW + 4_999) == 0
    assert lane.sends(NOW + 5_000)


def test_a_burst_of_answers_that_ask_for_patience_is_told_once_and_never_shortens_it(lane):
    assert lane.slow_down(NOW + 5_000) is True
    assert lane.slow_down(NOW + 5_100) is False
    assert lane.slow_down(NOW + 1_000) is False
    assert lane.hold_until_ms == NOW + 5_100


def test_the_limit_is_halved_by_each_request_for_patience_and_grows_by_one_with_each_success(lane):
    limits = []
    for _ in range(5):
        lane.slow_down(NOW)
        limits.append(lane.limit)
    assert limits == [4, 2, 1, 1, 1]
    for _ in range(20):
        lane.succeeded(5.0)
    assert lane.limit == 8


def test_the_limit_bounds_what_is_in_flight(lane):
    lane.in_flight = 7
    assert lane.has_slot(PLENTY)
    lane.in_flight = 8
    assert not lane.has_slot(PLENTY)


@pytest.mark.parametrize(("in_flight", "free", "may"), [(0, 0, True), (1, 4, False), (1, 5, True), (7, 28, False)])
def test_a_lane_holds_a_quarter_of_the_free_places_at_most(lane, in_flight, free, may):
    lane.in_flight = in_flight
    assert lane.has_slot(free) is may


def test_many_greedy_lanes_always_leave_places(lane):
    """However many endpoints hang, a newcomer finds a place until there are as many of them as places."""
    places = 2_048
    for count in (16, 100, 500):
        lanes = [Lane(f"ep_{n}", "app", EngineOptions(), ordered=False) for n in range(count)]
        free = places
        moved = True
        while moved:
            moved = False
            for one in lanes:
                if free and one.has_slot(free):
                    one.in_flight += 1
                    free -= 1
                    moved = True
        assert free > 0


def test_room_is_for_two_rounds_less_what_is_there(lane):
    assert lane.room(NOW) == 16
    lane.in_flight = 8
    lane.queue.extend(delivery() for _ in range(3))
    assert lane.room(NOW) == 5
    lane.queue.extend(delivery() for _ in range(30))
    assert lane.room(NOW) == 0


def test_an_ordered_lane_has_one_slot_and_room_only_when_it_is_empty(ordered):
    assert ordered.has_slot(PLENTY)
    assert ordered.room(NOW) == 5
    ordered.in_flight = 1
    assert not ordered.has_slot(PLENTY)
    assert ordered.room(NOW) == 0
    ordered.in_flight = 0
    ordered.queue.append(delivery())
    assert ordered.room(NOW) == 0


def test_an_ordered_lane_stays_at_one_whatever_it_is_told(ordered):
    ordered.slow_down(NOW)
    ordered.succeeded(5.0)
    assert ordered.limit == 1


def test_switching_between_ordered_and_not(lane):
    lane.become(ordered=True)
    assert (lane.ordered, lane.limit) == (True, 1)
    lane.become(ordered=False)
    assert (lane.ordered, lane.limit) == (False, 8)


def test_a_change_of_the_endpoint_is_forgiveness_and_the_first_sight_is_not(lane):
    open_lane(lane)
    lane.meet(1)
    assert lane.state is LaneState.OPEN
    lane.meet(1)
    assert lane.state is LaneState.OPEN
    lane.meet(2)
    assert (lane.state, lane.hold_until_ms, lane.failures) == (LaneState.CLOSED, 0, 0)


def health(state: str, until_ms: int, failures: int = 9) -> LaneHealth:
    return LaneHealth("ep_1", "app_1", state, until_ms, failures, NOW)


def test_what_another_node_knows_is_adopted(lane):
    lane.adopt(health("closed", NOW + 5_000))
    assert not lane.sends(NOW)
    assert lane.state is LaneState.CLOSED
    lane.adopt(health("open", NOW + 9_000))
    assert (lane.state, lane.hold_until_ms, lane.failures) == (LaneState.OPEN, NOW + 9_000, 9)
    lane.adopt(health("closed", 0))
    assert lane.hold_until_ms == NOW + 9_000


def test_requests_on_their_way_know_better_than_another_node(lane):
    lane.in_flight = 1
    lane.adopt(health("open", NOW - 1))
    assert lane.state is LaneState.CLOSED


def test_a_doubted_lane_goes_on_and_its_next_success_is_told_once(lane):
    lane.in_flight = 4
    lane.doubt()
    assert lane.has_slot(PLENTY)
    assert lane.succeeded(5.0) is True
    assert lane.succeeded(5.0) is False


def test_brisk_is_who_answers_soon(lane):
    assert lane.brisk(0.0)
    for _ in range(20):
        lane.succeeded(2_000.0)
    assert not lane.brisk(0.0)
    for _ in range(20):
        lane.succeeded(1.0)
    assert lane.brisk(0.0)


def test_brisk_is_not_who_never_answers(lane):
    lane.in_flight, lane.quiet_since_s = 1, 100.0
    assert lane.brisk(100.2)
    assert not lane.brisk(100.3)


def test_idle_and_troubled(lane):
    assert lane.idle
    assert not lane.troubled(NOW)
    lane.waiting = True
    assert not lane.idle
    lane.waiting = False
    fail(lane)
    assert lane.troubled(NOW)
    lane.succeeded(1.0)
    lane.slow_down(NOW + 5)
    assert lane.troubled(NOW)
    assert not lane.troubled(NOW + 5)
