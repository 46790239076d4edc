"""Lanes: who is slow, dead, throttled or switched off delays nobody else, and nothing it is owed is lost."""

from __future__ import annotations

import msgspec
import pytest

from hookline.model import EndpointStatus, RetryPolicy
from hookline.store import StoreUnavailableError
from integration.engine.rig import CUT, HANG, Rig, status

# What a lane does is the same on every database; what it leaves behind is tried on each of them elsewhere.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_hanging_endpoint_delays_nobody_else(rig):
    await rig.endpoint("hangs")
    await rig.endpoint("good")
    rig.receivers.plan("hangs", HANG)
    engine = await rig.engine(lane_concurrency=4)
    await rig.accept_many(engine, 20)
    await rig.until(lambda: len(rig.receivers.calls("good")) == 20)
    assert len(rig.receivers.calls("hangs")) == 4
    rig.receivers.plan("hangs", status(200))
    rig.receivers.release("hangs")
    await rig.until(rig.nothing_owed)


async def test_a_thousand_hanging_requests_leave_places_for_others(rig):
    """Without shares, four hanging endpoints would hold all the places until their time-outs."""
    for number in range(8):
        await rig.endpoint(f"hangs{number}")
        rig.receivers.plan(f"hangs{number}", HANG)
    engine = await rig.engine(lane_concurrency=32, max_in_flight=64)
    await rig.accept_many(engine, 64)
    await rig.endpoint("good")
    messages = await rig.accept_many(engine, 10)
    await rig.until(lambda: len(rig.receivers.calls("good")) == len(messages))
    held = [len(rig.receivers.open(f"hangs{number}")) for number in range(8)]
    assert sum(held) < 64
    assert max(held) <= 64 // 4
    for number in range(8):
        rig.receivers.plan(f"hangs{number}", status(200))
        rig.receivers.release(f"hangs{number}")
    await rig.until(rig.nothing_owed)


async def test_lanes_take_turns_under_the_global_cap(rig):
    """The endpoint with a long queue does not go twice before the others have been."""
    for name in ("busy", "second", "third"):
        await rig.endpoint(name, event_types=(f"{name}.x",))
        rig.receivers.plan(name, HANG)
    engine = await rig.engine(max_in_flight=9)
    engine.dispatcher.halt("test")
    await rig.accept_many(engine, 30, event_type="busy.x")
    for name in ("second", "third"):
        await rig.accept_many(engine, 3, event_type=f"{name}.x")
    engine.dispatcher.resume("test")
    first = [request.url for request in rig.receivers.requests[:3]]
    assert len(set(first)) == 3
    for name in ("busy", "second", "third"):
        rig.receivers.plan(name, status(200))
        rig.receivers.release(name)
    await rig.until(rig.nothing_owed)


async def test_what_does_not_fit_into_a_queue_waits_in_pending_and_is_delivered(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lane_concurrency=2, lane_queue=5)
    messages = await rig.accept_many(engine, 40)
    spilled = 40 - 2 - 5
    assert await rig.until(lambda: _spilled(rig, spilled))
    assert engine.dispatcher.queued() <= 5
    rig.receivers.plan("slow", status(200))
    rig.receivers.release("slow")
    await rig.until(rig.nothing_owed)
    assert sorted(rig.receivers.ids("slow")) == sorted(message.id for message in messages)


async def _spilled(rig: Rig, count: int) -> bool:
    return await rig.count("pending", "attempts = 0") == count


async def test_all_queues_together_are_bounded_and_a_free_lane_still_gets_in(rig):
    for number in range(4):
        await rig.endpoint(f"slow{number}", event_types=("slow.x",))
        rig.receivers.plan(f"slow{number}", HANG)
    await rig.endpoint("good", event_types=("good.x",))
    engine = await rig.engine(lane_concurrency=1, lane_queue=100, max_queued=50)
    await rig.accept_many(engine, 60, event_type="slow.x")
    assert engine.dispatcher.queued() <= 50
    message = await rig.accept(engine, event_type="good.x")
    await rig.reach(message, "succeeded")
    for number in range(4):
        rig.receivers.plan(f"slow{number}", status(200))
        rig.receivers.release(f"slow{number}")
    await rig.until(rig.nothing_owed)


async def test_a_throttled_endpoint_gets_no_more_than_its_rate(rig):
    await rig.endpoint("calm", throttle_rate=10)
    engine = await rig.engine()
    await rig.accept_many(engine, 8)
    await rig.until(lambda: len(rig.receivers.calls("calm")) >= 1)
    await rig.rounds()
    assert len(rig.receivers.calls("calm")) <= 2  # the clock stands still
    for expected in range(len(rig.receivers.calls("calm")) + 1, 9):
        rig.clock.advance(0.1)
        await rig.until(lambda expected=expected: len(rig.receivers.calls("calm")) >= expected)
        assert len(rig.receivers.calls("calm")) == expected


async def test_a_long_backlog_does_not_delay_another_endpoint_s_retry(rig):
    """Rows are claimed in shares: four long backlogs do not use up every round."""
    for number in range(5):
        name = f"busy{number}"
        one = await rig.endpoint(name, status=EndpointStatus.PAUSED, event_types=("busy.x",))
        rig.receivers.plan(name, status(200))
        setattr(rig, name, one)
    engine = await rig.engine(max_claim=4, lane_concurrency=1, claim_lanes=2)
    await rig.accept_many(engine, 30, event_type="busy.x")
    await rig.until(lambda: _spilled(rig, 150))
    late = await rig.endpoint("late", event_types=("late.x",), status=EndpointStatus.PAUSED)
    rig.clock.advance(1)
    message = await rig.accept(engine, event_type="late.x")
    await rig.until(lambda: _spilled(rig, 151))
    for number in range(5):
        await rig.set_status(getattr(rig, f"busy{number}"), EndpointStatus.ENABLED)
    await rig.set_status(late, EndpointStatus.ENABLED)
    start = len(rig.receivers.requests)
    await rig.reach(message, "succeeded")
    assert len(rig.receivers.requests) - start < 100
    await rig.until(rig.nothing_owed)


async def test_lanes_stop_while_outcomes_cannot_be_recorded_and_go_on_afterwards(rig):
    await rig.endpoint("good", throttle_rate=None)
    rig.receivers.plan("good", HANG)
    engine = await rig.engine(lane_concurrency=1)
    messages = await rig.accept_many(engine, 5)
    await rig.until(lambda: rig.receivers.open("good"))
    rig.store.away = StoreUnavailableError("away")
    rig.receivers.release("good")
    await rig.until(lambda: engine.dispatcher.halted)
    assert len(rig.receivers.calls("good")) <= 2  # one more may have started before anybody knew
    rig.receivers.plan("good", status(200))
    rig.receivers.release("good")
    tries = rig.store.calls["commit"]
    await rig.until(lambda: rig.store.calls["commit"] >= tries + 2)
    assert len(rig.receivers.calls("good")) <= 2
    rig.store.away = None
    for message in messages:
        await rig.reach(message, "succeeded")
    assert sorted(rig.receivers.ids("good")) == sorted(message.id for message in messages)


@pytest.mark.parametrize("answer", [status(410), status(500, webhook_delivery="disable")])
async def test_an_endpoint_that_asks_for_it_is_disabled_and_what_it_is_owed_waits(rig, answer):
    endpoint = await rig.endpoint("leaving")
    await rig.endpoint("good")
    rig.receivers.plan("leaving", answer)
    engine = await rig.engine(lane_concurrency=1)
    messages = await rig.accept_many(engine, 5)
    await rig.until(lambda: _disabled(rig, endpoint))
    calls = len(rig.receivers.calls("leaving"))
    views = {view for message in messages for view in await _views(rig, message, endpoint)}
    assert {state for state, _ in views} <= {"aborted", "parked", "owed", "leased"}
    await rig.until(lambda: _parked(rig, messages, endpoint, 5 - calls))
    late = await rig.accept(engine)
    assert endpoint.id not in late.targets
    rig.receivers.plan("leaving", status(200))
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.until(rig.nothing_owed)
    assert sorted(rig.receivers.ids("leaving")) == sorted(message.id for message in messages)
    for message in messages:
        assert [a.number for a in await rig.attempts(message) if a.endpoint_id == endpoint.id] == [1]


async def _disabled(rig: Rig, endpoint) -> bool:
    found = await rig.store.real.get_endpoint(rig.scope, endpoint.id)
    return found.status is EndpointStatus.DISABLED


async def _views(rig: Rig, message, endpoint) -> list[tuple[str, int]]:
    return [(v.state.value, v.attempts) for v in await rig.deliveries(message) if v.endpoint_id == endpoint.id]


async def _parked(rig: Rig, messages, endpoint, count: int) -> bool:
    views = [view for message in messages for view in await _views(rig, message, endpoint)]
    return views.count(("parked", 0)) == count


async def test_a_success_that_says_disable_is_a_success(rig):
    endpoint = await rig.endpoint("leaving")
    rig.receivers.plan("leaving", status(200, webhook_delivery="disable"))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    await rig.until(lambda: _disabled(rig, endpoint))


async def test_abort_message_ends_this_delivery_and_nothing_else(rig):
    endpoint = await rig.endpoint("picky")
    rig.receivers.plan("picky", status(500, webhook_delivery="abort-message"), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "aborted")
    other = await rig.accept(engine)
    await rig.reach(other, "succeeded")
    (attempt,) = await rig.attempts(message)
    assert (attempt.final, attempt.reason) == (True, "aborted_by_receiver")
    assert not await _disabled(rig, endpoint)


async def test_retry_after_slows_the_whole_lane_down(rig):
    await rig.endpoint("tired")
    rig.receivers.plan("tired", status(429, retry_after="30"), status(200))
    engine = await rig.engine()
    first = await rig.accept(engine)
    await rig.reach(first, "retrying")
    second = await rig.accept(engine)
    await rig.until(lambda: _spilled(rig, 1))
    rig.clock.advance(29)
    await rig.rounds()
    assert len(rig.receivers.calls("tired")) == 1
    rig.clock.advance(1.1)
    await rig.reach(first, "succeeded")
    await rig.reach(second, "succeeded")


async def test_another_node_minds_retry_after_as_well(rig):
    await rig.endpoint("tired")
    rig.receivers.plan("tired", status(429, retry_after="30"), status(200))
    first = await rig.engine(role="api")
    message = await rig.accept(first)
    await rig.reach(message, "retrying")
    await rig.until(lambda: _held(rig))
    await rig.engine(role="worker")
    await rig.fetch("UPDATE hookline_pending SET due_at_ms = 1")
    await rig.fetch("UPDATE hookline_lanes SET next_due_at_ms = 1")
    await rig.rounds()
    assert len(rig.receivers.calls("tired")) == 1
    rig.clock.advance(31)
    await rig.reach(message, "succeeded")


async def _held(rig: Rig) -> bool:
    return bool(await rig.count("lanes", "open_until_ms > 0"))


async def test_a_change_of_one_endpoint_does_not_forgive_its_neighbour(rig):
    await rig.endpoint("tired")
    other = await rig.endpoint("other")
    rig.receivers.plan("tired", status(429, retry_after="30"), status(200))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(lambda: _held(rig))
    await rig.change(other, description="new")
    await rig.accept(engine)
    await rig.until(lambda: len(rig.receivers.calls("other")) == 2)
    assert len(rig.receivers.calls("tired")) == 1


async def test_a_change_of_its_own_endpoint_lets_a_held_lane_start_afresh(rig):
    tired = await rig.endpoint("tired")
    rig.receivers.plan("tired", status(429, retry_after="3000"), status(200))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(lambda: _held(rig))
    await rig.change(tired, url="https://tired.example/new")
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")


BREAKER = {"breaker_failures": 3, "breaker_failing_s": 10.0, "breaker_open_s": 10.0, "lane_concurrency": 2}


async def open_breaker(rig: Rig, engine) -> list:
    """Fail often and long enough that the lane opens."""
    messages = await rig.accept_many(engine, 3)
    await rig.until(lambda: len(rig.receivers.calls("dead")) >= 3)
    rig.clock.advance(11)
    messages += [await rig.accept(engine)]
    await rig.until(lambda: _open(rig))
    return messages


async def _open(rig: Rig) -> bool:
    return bool(await rig.count("lanes", "state = 'open'"))


async def test_the_breaker_opens_probes_one_at_a_time_and_closes(rig):
    await rig.endpoint("dead", schedule_s=(1, 1, 1, 1, 1, 1))
    rig.receivers.plan("dead", status(500))
    engine = await rig.engine(**BREAKER)
    messages = await open_breaker(rig, engine)
    messages += await rig.accept_many(engine, 20)
    calls = len(rig.receivers.calls("dead"))
    rig.clock.advance(5)
    await rig.rounds()
    assert len(rig.receivers.calls("dead")) == calls  # open: not one request
    rig.clock.advance(8)
    await rig.until(lambda: len(rig.receivers.calls("dead")) == calls + 1)
    await rig.until(lambda: engine.dispatcher.in_flight == 0)
    await rig.rounds()
    assert len(rig.receivers.calls("dead")) == calls + 1  # the probe failed: open again, for twice as long
    rig.clock.advance(12.5)
    await rig.rounds()
    assert len(rig.receivers.calls("dead")) == calls + 1
    rig.receivers.plan("dead", status(200))
    rig.clock.advance(13)
    await rig.until(rig.nothing_owed)
    for message in messages:
        assert await rig.state(message) == "succeeded"
    assert await rig.count("lanes", "state = 'closed'") == 1


async def test_a_dead_endpoint_s_rows_are_not_looked_at(rig):
    await rig.endpoint("dead")
    rig.receivers.plan("dead", status(500))
    engine = await rig.engine(**BREAKER)
    await open_breaker(rig, engine)
    await rig.accept_many(engine, 20)
    await rig.until(lambda: engine.dispatcher.in_flight == 0)
    claims = rig.store.calls["claim"]
    rig.clock.advance(3)
    due = rig.store.calls["due_lanes"]
    await rig.until(lambda: rig.store.calls["due_lanes"] > due + 4)
    assert rig.store.calls["claim"] == claims


async def test_a_failed_endpoint_without_backlog_is_tried_by_the_next_message(rig):
    """Nothing is left for the Prober, and a node without one recovers, too."""
    await rig.endpoint("dead", schedule_s=())
    rig.receivers.plan("dead", status(500))
    engine = await rig.engine(role="api", **BREAKER)
    await open_breaker(rig, engine)
    await rig.until(rig.nothing_owed)
    rig.receivers.plan("dead", status(200))
    rig.clock.advance(13)
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    more = await rig.accept_many(engine, 5)
    for message in more:
        await rig.reach(message, "succeeded")


async def test_a_busy_healthy_lane_overrules_another_node_s_verdict(rig):
    """Our own traffic is the probe: rows in `pending` do not wait for a pause in it."""
    endpoint = await rig.endpoint("good")
    rig.receivers.plan("good", HANG)
    engine = await rig.engine(lane_concurrency=4)
    await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("good"))  # from now on, something is in flight all the time
    rig.receivers.plan("good", status(200))
    await rig.set_status(endpoint, EndpointStatus.PAUSED)
    old = await rig.accept(engine)
    await rig.until(lambda: _spilled(rig, 1))
    engine.dispatcher.halt("test")
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.fetch("UPDATE hookline_lanes SET state = 'open', failures = 99, open_until_ms = 1, next_due_at_ms = 1")
    engine.dispatcher.resume("test")

    async def keep_busy() -> bool:
        await rig.accept(engine)
        return await rig.state(old) == "succeeded"

    await rig.until(keep_busy)
    assert rig.receivers.open("good")
    rig.receivers.release("good")


async def test_a_request_that_cannot_be_built_is_a_failed_attempt(rig):
    broken = await rig.endpoint("broken")
    await rig.endpoint("good")
    await rig.change(broken, secrets=(msgspec.structs.replace(broken.secrets[0], key="whsec_no"),))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: _failed_once(rig, message, broken))
    await rig.until(lambda: rig.receivers.calls("good"))
    assert not rig.receivers.calls("broken")
    assert engine.dispatcher.in_flight == 0


async def _failed_once(rig: Rig, message, endpoint) -> bool:
    made = [one for one in await rig.attempts(message) if one.endpoint_id == endpoint.id]
    return bool(made) and made[0].reason == "invalid_request"


async def test_a_mistake_of_ours_in_building_costs_one_delivery_alone(rig):
    bad = await rig.endpoint("bad")
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)

    class Broken:
        def build(self, message, context):
            raise ZeroDivisionError

    engine.routing.cached(rig.app.id).routes[bad.id]._prepared = Broken()
    messages = await rig.accept_many(engine, 3)
    await rig.until(lambda: len(rig.receivers.calls("good")) == 4)
    for message in messages:
        await rig.until(lambda message=message: _failed_once(rig, message, bad))


async def test_lanes_that_rest_are_forgotten(rig):
    await rig.endpoint("good")
    await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", CUT)
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    assert len(engine.dispatcher.lanes) == 2
    engine.dispatcher.forget_idle_lanes()
    assert [lane.failures for lane in engine.dispatcher.lanes.values()] == [1]


async def test_an_endpoint_that_becomes_ordered_is_served_one_at_a_time(rig):
    endpoint = await rig.endpoint("turns")
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    await rig.change(endpoint, ordered=True)
    rig.receivers.plan("turns", HANG)
    messages = await rig.accept_many(engine, 4)
    for served in range(1, 5):
        await rig.until(lambda: len(rig.receivers.open("turns")) == 1)
        assert len(rig.receivers.calls("turns")) == 1 + served
        rig.receivers.release("turns")
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns")[1:] == [message.id for message in messages]


async def test_the_policy_of_the_moment_decides_not_that_of_acceptance(rig):
    """Endpoints are used as they are when they are sent to."""
    endpoint = await rig.endpoint("moved", status=EndpointStatus.PAUSED)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: _spilled(rig, 1))
    await rig.change(
        endpoint,
        status=EndpointStatus.ENABLED,
        url="https://elsewhere.example/",
        policy=RetryPolicy(schedule_s=(), jitter=0.0),
    )
    rig.receivers.plan("elsewhere", status(500))
    await rig.reach(message, "exhausted")
    assert not rig.receivers.calls("moved")


async def test_a_table_that_is_behind_never_cancels(rig):
    """Another node has made the endpoint and accepted for it; our table does not know it yet."""
    engine = await rig.engine()
    await rig.accept(engine)
    table = engine.routing.cached(rig.app.id)
    engine._heard = lambda *_: None
    rig.store.real._watcher._listeners.clear()
    await rig.endpoint("new")
    accepting = await rig.engine(role="api")
    rig.receivers.plan("new", CUT, status(200))
    message = await rig.accept(accepting)
    await rig.reach(message, "retrying")
    engine.routing._tables[rig.app.id] = table
    rig.clock.advance(2)
    await rig.reach(message, "succeeded")
    assert [attempt.status.value for attempt in await rig.attempts(message)] == ["failed", "succeeded"]
