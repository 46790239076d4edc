"""Recording: what an attempt leaves behind, retries, manual resends, order, deletion and expiry, stragglers."""

from __future__ import annotations

import asyncio

import pytest

from hookline.egress import Failure, Reason, Response
from hookline.model import EndpointStatus, Kind
from integration.engine.rig import CUT, HANG, Rig, status


async def test_the_schedule_is_kept_exactly(rig):
    """Two delays are three attempts; then the delivery is exhausted, visibly."""
    await rig.endpoint("bad", schedule_s=(1, 5))
    rig.receivers.plan("bad", status(500), CUT, status(404))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    assert len(rig.receivers.calls("bad")) == 1
    rig.clock.advance(0.9)
    await rig.rounds()
    assert len(rig.receivers.calls("bad")) == 1
    rig.clock.advance(0.2)
    await rig.until(lambda: _attempted(rig, message, 2))
    rig.clock.advance(4.8)
    await rig.rounds()
    assert len(rig.receivers.calls("bad")) == 2
    rig.clock.advance(0.3)
    await rig.reach(message, "exhausted")
    rig.clock.advance(1000)
    await rig.rounds()
    attempts = await rig.attempts(message)
    assert [(a.number, a.final, a.reason, a.response_status) for a in attempts] == [
        (1, False, "http_status", 500),
        (2, False, "connection_reset", 0),
        (3, True, "http_status", 404),
    ]
    assert set(rig.receivers.ids("bad")) == {message.id}
    assert await rig.nothing_owed()


async def _attempted(rig: Rig, message, count: int) -> bool:
    return len(await rig.attempts(message)) == count


async def test_what_an_endpoint_answered_is_kept(rig):
    endpoint = await rig.endpoint("good")
    rig.receivers.plan("good", Response.scripted(202, body=b"thanks \xff"))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    (attempt,) = await rig.attempts(message)
    assert (attempt.endpoint_id, attempt.url) == (endpoint.id, endpoint.url)
    assert (attempt.response_status, attempt.response_body, attempt.number) == (202, b"thanks \xff", 1)
    assert (attempt.final, attempt.kind, attempt.reason) == (True, Kind.SCHEDULED, "")


async def test_a_manual_resend_that_fails_moves_nothing(rig):
    endpoint = await rig.endpoint("bad", schedule_s=(60, 60))
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    (before,) = await rig.deliveries(message)
    assert await rig.store.request_resend(rig.scope, message.id, endpoint.id, rig.clock.now_ms())
    await rig.until(lambda: _attempted(rig, message, 2))
    (after,) = await rig.deliveries(message)
    assert (after.state, after.next_attempt_at_ms) == (before.state, before.next_attempt_at_ms)
    assert await rig.fetch("SELECT kind, attempts FROM hookline_pending") == [("scheduled", 1)]
    assert [a.number for a in await rig.attempts(message)] == [1, -1]
    rig.receivers.plan("bad", status(200))
    rig.clock.advance(61)
    await rig.reach(message, "succeeded")


async def test_a_manual_resend_that_succeeds_settles_the_schedule(rig):
    endpoint = await rig.endpoint("bad", schedule_s=(60, 60))
    rig.receivers.plan("bad", status(500), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    assert await rig.store.request_resend(rig.scope, message.id, endpoint.id, rig.clock.now_ms())
    await rig.reach(message, "succeeded")
    rig.clock.advance(1000)
    await rig.rounds()
    assert len(rig.receivers.calls("bad")) == 2
    assert await rig.nothing_owed()


async def test_an_exhausted_message_can_be_resent(rig):
    endpoint = await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", status(500), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "exhausted")
    assert await rig.store.request_resend(rig.scope, message.id, endpoint.id, rig.clock.now_ms())
    await rig.until(lambda: _attempted(rig, message, 2))
    await rig.reach(message, "succeeded")


# Order


async def test_an_ordered_endpoint_gets_one_at_a_time_in_the_order_of_acceptance(rig):
    await rig.endpoint("turns", ordered=True)
    rig.receivers.plan("turns", HANG)
    engine = await rig.engine()
    messages = [message for _ in range(3) for message in await rig.accept_many(engine, 4)]
    for _ in messages:
        await rig.until(lambda: rig.receivers.open("turns"))
        assert len(rig.receivers.open("turns")) == 1
        rig.receivers.release("turns")
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns") == sorted(rig.receivers.ids("turns"))
    assert set(rig.receivers.ids("turns")) == {message.id for message in messages}


async def test_an_ordered_head_that_is_retried_blocks_and_one_that_is_exhausted_is_skipped(rig):
    await rig.endpoint("turns", ordered=True, schedule_s=(5,))
    rig.receivers.plan("turns", status(500), status(500), status(200))
    engine = await rig.engine()
    first, second, third = await rig.accept_many(engine, 3)
    await rig.until(lambda: _attempted(rig, first, 1))
    await rig.rounds()
    assert rig.receivers.ids("turns") == [first.id]
    rig.clock.advance(5.1)
    await rig.reach(third, "succeeded")
    assert rig.receivers.ids("turns") == [first.id, first.id, second.id, third.id]
    assert await rig.state(first) == "exhausted"
    assert await rig.nothing_owed()


async def test_the_next_of_an_ordered_endpoint_starts_when_the_outcome_is_on_disk(rig):
    await rig.endpoint("turns", ordered=True)
    engine = await rig.engine()
    held = asyncio.Event()

    async def hold(change):
        if change.outcomes:
            await held.wait()

    rig.store.before["commit"] = hold
    first, second = await rig.accept_many(engine, 2)
    await rig.until(lambda: rig.receivers.calls("turns"))
    await rig.rounds()
    assert rig.receivers.ids("turns") == [first.id]
    held.set()
    await rig.reach(second, "succeeded")
    assert rig.receivers.ids("turns") == [first.id, second.id]


async def test_two_nodes_serve_one_ordered_endpoint_one_at_a_time(rig):
    await rig.endpoint("turns", ordered=True)
    rig.receivers.plan("turns", HANG)
    one, other = await rig.engine(), await rig.engine()
    messages = []
    for node in (one, other, one, other):
        messages += await rig.accept_many(node, 2)
    for _ in messages:
        await rig.until(lambda: rig.receivers.open("turns"))
        await rig.rounds(2)
        assert len(rig.receivers.open("turns")) == 1
        rig.receivers.release("turns")
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns") == [message.id for message in messages]


async def test_an_ordered_lane_that_is_told_to_slow_down_keeps_its_order(rig):
    await rig.endpoint("turns", ordered=True, schedule_s=(1, 1))
    rig.receivers.plan("turns", status(503, retry_after="20"), status(200))
    engine = await rig.engine()
    messages = await rig.accept_many(engine, 3)
    await rig.until(lambda: _attempted(rig, messages[0], 1))
    rig.clock.advance(19)
    await rig.rounds()
    assert len(rig.receivers.calls("turns")) == 1
    rig.clock.advance(1.1)
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns")[1:] == [message.id for message in messages]


async def test_an_ordered_endpoint_that_disables_itself_goes_on_where_it_was(rig):
    endpoint = await rig.endpoint("turns", ordered=True)
    rig.receivers.plan("turns", status(410), status(200))
    engine = await rig.engine()
    messages = await rig.accept_many(engine, 4)
    await rig.reach(messages[0], "aborted")
    await rig.reach(messages[3], "parked")
    await rig.rounds()
    assert len(rig.receivers.calls("turns")) == 1
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns") == [message.id for message in messages]


# Disabled, paused, deleted, expired


async def test_a_paused_endpoint_collects_spends_no_attempts_and_goes_on(rig):
    endpoint = await rig.endpoint("pausing")
    rig.receivers.plan("pausing", status(500), status(200))
    engine = await rig.engine()
    first = await rig.accept(engine)
    await rig.reach(first, "retrying")
    await rig.set_status(endpoint, EndpointStatus.PAUSED)
    second = await rig.accept(engine)
    await rig.reach(second, "parked")
    rig.clock.advance(10_000)
    await rig.rounds()
    assert len(rig.receivers.calls("pausing")) == 1
    assert await rig.state(first) == "parked"
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.reach(first, "succeeded")
    await rig.reach(second, "succeeded")
    assert [a.number for a in await rig.attempts(first)] == [1, 2]
    assert [a.number for a in await rig.attempts(second)] == [1]


async def test_what_waits_in_memory_is_parked_when_its_endpoint_is_paused(rig):
    endpoint = await rig.endpoint("pausing")
    rig.receivers.plan("pausing", HANG)
    engine = await rig.engine(lane_concurrency=1)
    messages = await rig.accept_many(engine, 5)
    await rig.until(lambda: rig.receivers.open("pausing"))
    await rig.set_status(endpoint, EndpointStatus.PAUSED)
    await rig.until(lambda: engine.routing.cached(rig.app.id) is None)
    rig.receivers.release("pausing")
    for message in messages[1:]:
        await rig.reach(message, "parked")
    assert len(rig.receivers.calls("pausing")) == 1
    rig.receivers.plan("pausing", status(200))
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("pausing")) == 5


async def test_what_a_deleted_endpoint_is_owed_is_canceled_in_memory_and_on_disk(rig):
    endpoint = await rig.endpoint("gone", schedule_s=(600,))
    rig.receivers.plan("gone", status(500), HANG)
    engine = await rig.engine(lane_concurrency=1)
    waiting = await rig.accept(engine)
    await rig.reach(waiting, "retrying")
    first, second = await rig.accept_many(engine, 2)
    await rig.until(lambda: rig.receivers.open("gone"))
    await rig.store.delete_endpoint(rig.scope, endpoint.id, rig.clock.now_ms())
    await rig.until(lambda: engine.routing.cached(rig.app.id) is None)
    rig.receivers.release("gone")
    for message in (waiting, second):
        await rig.reach(message, "canceled")
        last = (await rig.attempts(message))[-1]
        assert (last.final, last.reason, last.response_status) == (True, "endpoint_deleted", 0)
    await rig.until(rig.nothing_owed)
    assert await rig.state(first) == "succeeded"
    assert len(rig.receivers.calls("gone")) == 2


async def test_an_expired_payload_cancels_what_is_owed(rig):
    await rig.endpoint("bad", schedule_s=(600, 600))
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine()
    message = await rig.accept(engine, payload_expires_at_ms=rig.clock.now_ms() + 100_000)
    await rig.reach(message, "retrying")
    rig.clock.advance(101)
    await rig.reach(message, "canceled")
    stored = await rig.store.get_message(rig.scope, message.id)
    assert (stored.payload, stored.payload_expired) == (b"", True)
    assert (await rig.attempts(message))[-1].reason == "payload_expired"
    rig.clock.advance(1000)
    await rig.rounds()
    assert len(rig.receivers.calls("bad")) == 1


# Stragglers and batches


@pytest.mark.parametrize("answer", [status(200), status(500), Failure(Reason.TIMEOUT_TOTAL)])
async def test_a_straggler_gets_a_row_its_batch_goes_and_its_outcome_lands(rig, answer):
    await rig.endpoint("slow")
    await rig.endpoint("good")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(straggler_after_s=5.0)
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    await rig.rounds()
    assert await rig.live_batches() == 1
    rig.clock.advance(6)
    await rig.until(lambda: _no_batches(rig))
    assert await rig.count("pending", "lease_node IS NOT NULL") == 1
    assert "leased" in await rig.states(message)
    rig.receivers.release("slow", answer)
    if isinstance(answer, Failure) or answer.status == 500:
        await rig.until(lambda: _states(rig, message, ["retrying", "succeeded"]))
        rig.receivers.plan("slow", status(200))
        rig.clock.advance(1.1)
    await rig.reach(message, "succeeded")
    assert await rig.nothing_owed()
    assert len(rig.receivers.calls("good")) == 1


async def _no_batches(rig: Rig) -> bool:
    return not await rig.live_batches()


async def _states(rig: Rig, message, wanted) -> bool:
    return await rig.states(message) == wanted


async def test_an_answer_that_comes_while_its_straggler_row_is_written_waits_for_it(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    held, entered = asyncio.Event(), asyncio.Event()

    async def hold(change):
        if change.spills:
            entered.set()
            await held.wait()

    rig.store.before["commit"] = hold
    rig.clock.advance(6)
    await entered.wait()
    rig.receivers.release("slow")
    await rig.until(lambda: engine.dispatcher.in_flight == 0)
    held.set()
    await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    assert len(await rig.attempts(message)) == len(rig.receivers.calls("slow")) == 1


async def test_a_straggler_that_never_started_is_delivered_once(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lane_concurrency=1)
    messages = await rig.accept_many(engine, 3)
    rig.clock.advance(6)
    await rig.until(lambda: _no_batches(rig))
    assert await rig.count("pending", "lease_node IS NOT NULL") == 3
    rig.receivers.plan("slow", status(200))
    rig.receivers.release("slow")
    await rig.until(rig.nothing_owed)
    assert sorted(rig.receivers.ids("slow")) == sorted(message.id for message in messages)


async def test_a_batch_goes_only_after_all_its_outcomes_are_committed(rig):
    for name in ("one", "two", "three"):
        await rig.endpoint(name)
        rig.receivers.plan(name, HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: len(rig.receivers.hanging) == 3)
    for name, answer in (("one", status(200)), ("two", status(500))):
        rig.receivers.release(name, answer)
        await rig.until(lambda: engine.dispatcher.in_flight <= 2)
        await rig.rounds()
        assert await rig.live_batches() == 1
    rig.receivers.release("three")
    await rig.until(lambda: _no_batches(rig))
    assert await rig.states(message) == ["retrying", "succeeded", "succeeded"]
    settled = [change for change in rig.store.commits if change.settled_batches]
    recorded = [index for index, change in enumerate(rig.store.commits) if change.outcomes]
    assert rig.store.commits.index(settled[0]) > recorded[-1]


async def test_a_big_spill_is_written_to_the_end(rig):
    """More than one transaction holds; nobody comes by to wake the committer for the rest."""
    endpoint = await rig.endpoint("paused", status=EndpointStatus.PAUSED)
    engine = await rig.engine(max_outcomes_per_commit=10)
    messages = await rig.accept_many(engine, 95)
    await rig.until(lambda: _parked(rig, 95))
    await rig.until(lambda: _no_batches(rig))
    await rig.set_status(endpoint, EndpointStatus.ENABLED)
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("paused")) == len(messages)


async def _parked(rig: Rig, count: int) -> bool:
    return await rig.count("pending", "lease_node IS NULL") == count


async def test_an_outcome_the_database_refuses_costs_only_what_was_answered(rig):
    """It is bisected, then written without what came from outside."""
    names = [f"e{number}" for number in range(8)]
    for name in names:
        await rig.endpoint(name)
    rig.receivers.plan("e3", Response.scripted(200, body=b"poisonous"))
    engine = await rig.engine()

    async def refuse(change):
        if any(b"poison" in outcome.attempt.response_body for outcome in change.outcomes):
            raise ValueError("a byte that this database does not take")

    rig.store.before["commit"] = refuse
    messages = await rig.accept_many(engine, 5)
    for message in messages:
        await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    bodies = {attempt.response_body for message in messages for attempt in await rig.attempts(message)}
    assert bodies == {b""}
    assert len(rig.receivers.requests) == 5 * 8


async def test_house_keeping_that_is_refused_is_bisected_too(rig):
    """One spill that cannot be written must not take the others with it."""
    paused = await rig.endpoint("paused", status=EndpointStatus.PAUSED)
    engine = await rig.engine()
    bad = []

    async def refuse(change):
        ids = [spill.key.message_id for spill in change.spills]
        bad.extend(ids[len(ids) // 2 :][: 1 - len(bad)])
        if bad and bad[0] in ids:
            raise ValueError("not this one")

    rig.store.before["commit"] = refuse
    messages = await rig.accept_many(engine, 10)
    await rig.until(lambda: _parked(rig, 9))
    await rig.until(lambda: not engine.committer._busy)
    rig.store.before.clear()
    await rig.set_status(paused, EndpointStatus.ENABLED)
    for message in messages:
        if message.id not in bad:
            await rig.reach(message, "succeeded")
