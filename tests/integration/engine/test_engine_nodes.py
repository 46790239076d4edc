"""Nodes: leases, fences, rescue, poison; nothing that was promised is lost when one of them dies."""

from __future__ import annotations

import asyncio

import pytest

from hookline.engine import Engine, StoppingError
from hookline.store import CommitResult, StoreUnavailableError
from hookline.store.errors import AmbiguousCommitError
from integration.engine.rig import HANG, Rig, status


async def declare_dead(rig: Rig, engine: Engine) -> None:
    """End a node's lease behind its back and fence it, as another node's Rescuer would; nothing is rescued yet."""
    await rig.end_lease(engine)
    await rig.fetch(f"UPDATE hookline_nodes SET epoch = epoch + 1 WHERE id = '{engine.node_id}' RETURNING 1")


async def _attempted(rig: Rig, message, count: int) -> bool:
    return len(await rig.attempts(message)) == count


async def _no_batches(rig: Rig) -> bool:
    return not await rig.live_batches()


async def _parked(rig: Rig, count: int) -> bool:
    return await rig.count("pending", "lease_node IS NULL") == count


async def test_when_a_node_dies_the_other_delivers_everything_it_owed(rig):
    await rig.endpoint("fresh")
    await rig.endpoint("retried", schedule_s=(1, 1, 1))
    rig.receivers.plan("fresh", HANG)
    rig.receivers.plan("retried", status(500), status(500), status(500), HANG)
    dying = await rig.engine(own_store=True)
    messages = await rig.accept_many(dying, 3)
    await rig.until(lambda: len(rig.receivers.open("fresh")) == 3)
    rig.clock.advance(1.1)
    await rig.until(lambda: len(rig.receivers.open("retried")) == 3)
    other = await rig.engine()
    await rig.rounds()
    assert other.stats.rescued == 0
    rig.receivers.plan("fresh", status(200))
    rig.receivers.plan("retried", status(200))
    await rig.kill(dying)
    for message in messages:
        await rig.reach(message, "succeeded")
    assert other.stats.rescued == 6
    assert await rig.nothing_owed()
    for name, calls in (("fresh", 2), ("retried", 3)):
        assert {rig.receivers.ids(name).count(message.id) for message in messages} == {calls}


async def test_a_node_that_is_alive_is_left_alone(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    busy = await rig.engine()
    message = await rig.accept(busy)
    await rig.until(lambda: rig.receivers.open("slow"))
    other = await rig.engine()
    await rig.rounds(6)
    assert other.stats.rescued == 0
    rig.receivers.release("slow")
    await rig.reach(message, "succeeded")
    assert len(rig.receivers.calls("slow")) == 1


async def test_a_rescue_owes_what_was_promised_and_nothing_else(rig):
    """Endpoints made after acceptance get nothing; what was recorded before the death is not sent again."""
    await rig.endpoint("settled")
    await rig.endpoint("owed")
    rig.receivers.plan("owed", HANG)
    dying = await rig.engine(own_store=True)
    message = await rig.accept(dying)
    await rig.until(lambda: _attempted(rig, message, 1))
    await rig.endpoint("later")
    rig.receivers.plan("owed", status(200))
    await rig.kill(dying)
    await rig.engine()
    await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("settled")) == 1
    assert len(rig.receivers.calls("owed")) == 2
    assert not rig.receivers.calls("later")


async def test_a_node_that_starts_rescues_before_it_accepts(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    dying = await rig.engine(own_store=True)
    await rig.accept_many(dying, 3)
    await rig.until(lambda: len(rig.receivers.open("slow")) == 3)
    await rig.kill(dying)
    engine = await rig.engine(start=False)
    rig.receivers.plan("slow", status(200))
    await engine.start()
    assert engine.stats.rescued == 3


async def test_a_node_declared_dead_gets_a_new_epoch_and_a_late_success_settles(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lease_s=3600.0)
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    (in_flight,) = rig.receivers.open("slow")
    del rig.receivers.hanging[in_flight]  # this request is beyond our reach: its answer comes
    epoch = engine.lease.epoch
    await declare_dead(rig, engine)
    other = await rig.engine(role="worker", claim_poll_s=100.0)
    await rig.until(lambda: other.stats.rescued == 1)
    assert await rig.count("pending") == 1
    other.dispatcher.halt("test")
    engine.dispatcher.halt("test")
    in_flight.release(status(200))
    await rig.until(lambda: engine.lease.epoch > epoch)
    await rig.reach(message, "succeeded")
    assert await rig.nothing_owed()
    assert engine.stats.leases_lost == 1
    engine.dispatcher.resume("test")
    rig.receivers.plan("slow", status(200))
    again = await rig.accept(engine)
    await rig.reach(again, "succeeded")


async def test_a_late_failure_is_recorded_and_moves_nothing(rig):
    await rig.endpoint("slow", schedule_s=())
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(role="api")
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    (in_flight,) = rig.receivers.open("slow")
    del rig.receivers.hanging[in_flight]
    await declare_dead(rig, engine)
    other = await rig.engine(start=False, role="worker")
    await other.start()
    other.dispatcher.halt("test")
    assert other.stats.rescued == 1
    in_flight.release(status(500))
    await rig.until(lambda: _attempted(rig, message, 1))
    (attempt,) = await rig.attempts(message)
    assert attempt.final is False
    assert await rig.state(message) not in {"exhausted", "succeeded"}
    rig.receivers.plan("slow", status(200))
    other.dispatcher.resume("test")
    await rig.reach(message, "succeeded")


async def test_a_late_failure_under_the_new_epoch_never_settles_the_old_batch(rig):
    """The commit happened, but before its answer came the node was declared dead: the batch is the rescuer's."""
    await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine(role="api")

    async def declare(change):
        if change.messages:
            rig.store.after.clear()
            await declare_dead(rig, engine)
            await engine.refence()

    rig.store.after["commit"] = declare
    message = await rig.accept(engine)
    await rig.until(lambda: not engine.committer._busy and not len(engine.committer.queue))
    assert await rig.live_batches() == 1
    assert await rig.attempts(message) == []
    assert len(engine.committer.batches) == 0
    rig.receivers.plan("bad", status(200))
    await rig.engine(role="worker")
    await rig.reach(message, "succeeded")


async def test_requests_are_cut_when_the_lease_ends_by_our_own_clock(rig):
    """Whether the database says so or not; afterwards what was cut goes on without having spent an attempt."""
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lease_s=0.6)
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))

    async def hang(*_):
        await asyncio.Event().wait()

    rig.store.before["renew_lease"] = hang
    rig.clock.advance(0.7)
    await rig.until(lambda: not rig.receivers.hanging)
    assert engine.dispatcher.halted
    assert not engine.health().accepting
    rig.receivers.plan("slow", status(200))
    rig.store.before.clear()
    await rig.reach(message, "succeeded")
    assert [attempt.number for attempt in await rig.attempts(message)] == [1]
    assert engine.health().accepting


async def test_the_guard_of_the_lease_looks_again_when_it_was_early(rig):
    """Timers of some loops fire a moment before our clock says that the lease has ended."""
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lease_s=30.0)
    await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    rig.clock.advance(29.95)
    engine.heartbeat._guard.cancel()  # it is spent: it has called
    engine.heartbeat._ended()
    assert not engine.dispatcher.halted
    rig.clock.advance(0.1)
    await rig.until(lambda: engine.dispatcher.halted)
    await rig.until(lambda: not rig.receivers.open("slow"))


async def test_a_node_that_was_without_the_database_waits_a_lease_before_it_rescues(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    dying = await rig.engine(own_store=True)
    message = await rig.accept(dying)
    await rig.until(lambda: rig.receivers.open("slow"))
    engine = await rig.engine(lease_s=500.0)
    rig.store.away = StoreUnavailableError("away")
    with pytest.raises(StoreUnavailableError):
        await rig.accept(engine)
    await rig.kill(dying)
    rig.store.away = None
    await rig.until(lambda: engine.health().accepting)
    await rig.rounds(8)
    assert engine.stats.rescued == 0
    rig.receivers.plan("slow", status(200))
    rig.clock.advance(400)
    engine.heartbeat.wake()
    await rig.rounds(4)
    assert engine.stats.rescued == 0
    rig.clock.advance(101)
    await rig.reach(message, "succeeded")


async def test_own_batches_that_memory_lost_are_adopted(rig):
    """The COMMIT happened, but nobody could tell in time: the caller got no receipt, its message is delivered."""
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)

    async def lose(change):
        if change.messages:
            rig.store.after.clear()
            raise AmbiguousCommitError("the connection broke", result=CommitResult())

    async def nobody_knows(batch_id):
        rig.clock.advance(6)  # longer than anybody waits
        raise StoreUnavailableError("away")

    rig.store.after["commit"] = lose
    rig.store.before["resolve_batch"] = nobody_knows
    with pytest.raises(AmbiguousCommitError):
        await rig.accept(engine)
    assert await rig.live_batches() == 1
    assert len(rig.receivers.requests) == 1
    rig.clock.advance(31)
    await rig.until(lambda: len(rig.receivers.requests) == 2)
    await rig.until(rig.nothing_owed)


async def test_a_node_without_other_duties_still_looks_after_its_own(rig):
    """An `api` node rescues nobody, but gives its stragglers rows and adopts what it lost."""
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    dying = await rig.engine(own_store=True)
    await rig.accept(dying)
    await rig.until(lambda: rig.receivers.open("slow"))
    await rig.kill(dying)
    engine = await rig.engine(role="api")
    await rig.accept(engine)
    await rig.until(lambda: len(rig.receivers.open("slow")) == 2)
    rig.clock.advance(6)
    await rig.until(lambda: _leased(rig, 1))
    await rig.until(lambda: _one_batch(rig))  # the dead one's: a worker's business
    assert engine.stats.rescued == 0


async def _one_batch(rig: Rig) -> bool:
    return await rig.live_batches() == 1


async def _leased(rig: Rig, count: int) -> bool:
    return await rig.count("pending", "lease_node IS NOT NULL") == count


async def test_what_kills_every_node_that_sends_it_ends_as_poison(rig):
    await rig.endpoint("deadly")
    rig.receivers.plan("deadly", HANG)
    node = await rig.engine(own_store=True)
    message = await rig.accept(node)
    for life in range(1, 5):
        await rig.until(lambda life=life: len(rig.receivers.calls("deadly")) == life)
        await rig.kill(node)
        node = await rig.engine(own_store=True)
    await rig.reach(message, "exhausted")
    (attempt,) = await rig.attempts(message)
    assert (attempt.reason, attempt.final) == ("poison", True)
    assert len(rig.receivers.calls("deadly")) == 4
    assert await rig.nothing_owed()


async def test_an_ordered_endpoint_survives_the_death_of_the_node_that_served_it(rig):
    await rig.endpoint("turns", ordered=True)
    rig.receivers.plan("turns", HANG)
    dying = await rig.engine(own_store=True)
    messages = await rig.accept_many(dying, 4)
    await rig.until(lambda: rig.receivers.open("turns"))
    other = await rig.engine()
    messages += await rig.accept_many(other, 2)
    await rig.rounds()
    assert len(rig.receivers.calls("turns")) == 1
    rig.receivers.plan("turns", status(200))
    await rig.kill(dying)
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("turns")[1:] == [message.id for message in messages]


async def test_a_worker_delivers_what_an_api_node_left_and_accepts_nothing(rig):
    await rig.endpoint("bad")
    rig.receivers.plan("bad", status(500), status(200))
    api, worker = await rig.engine(role="api"), await rig.engine(role="worker")
    with pytest.raises(StoppingError):
        await rig.accept(worker)
    message = await rig.accept(api)
    await rig.reach(message, "retrying")
    rig.clock.advance(1.1)
    await rig.reach(message, "succeeded")
    assert (sum(api.stats.deliveries.values()), sum(worker.stats.deliveries.values())) == (1, 1)


# Stopping


async def test_stop_lets_what_is_in_flight_end_and_gives_the_rest_back(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lane_concurrency=2, stop_grace_s=10.0)
    messages = await rig.accept_many(engine, 6)
    await rig.until(lambda: len(rig.receivers.open("slow")) == 2)
    stopping = asyncio.create_task(engine.stop())
    await rig.until(lambda: _parked(rig, 4))
    assert not stopping.done()
    assert engine.health().draining
    rig.receivers.release("slow")
    await stopping
    states = [await rig.state(message) for message in messages]
    assert sorted(states) == ["owed"] * 4 + ["succeeded"] * 2
    assert not await rig.live_batches()
    assert await rig.count("nodes", f"id = '{engine.node_id}'") == 0
    rig.receivers.plan("slow", status(200))
    await rig.engine()
    await rig.until(rig.nothing_owed)
    assert sorted(rig.receivers.ids("slow")) == sorted(message.id for message in messages)


async def test_stop_cuts_at_the_end_of_the_grace_and_spends_no_attempt(rig):
    await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await engine.stop(0.05)
    assert loop.time() - started_s < 3
    assert await rig.state(message) == "owed"
    rig.receivers.plan("slow", status(200))
    await rig.engine()
    await rig.reach(message, "succeeded")
    assert [attempt.number for attempt in await rig.attempts(message)] == [1]


async def test_stop_answers_everybody_who_waits(rig):
    """Drafts in the queue are written; those that the database does not take in time are told so."""
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    waiting = [asyncio.create_task(engine.ingest.accept(rig.draft())) for _ in range(20)]
    await asyncio.sleep(0)
    await engine.stop()
    receipts = await asyncio.gather(*waiting)
    assert await rig.count("messages") == 21
    await rig.engine()
    for receipt in receipts:
        await rig.reach(receipt.message, "succeeded")


async def test_stop_without_the_database_ends_and_tells_who_waits(rig, monkeypatch):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    monkeypatch.setattr("hookline.engine.committer.STOP_PATIENCE_S", 0.2)

    async def hang(*_):
        await asyncio.Event().wait()

    rig.store.before["commit"] = hang
    rig.store.before["retire_node"] = _unavailable
    waiting = [asyncio.create_task(engine.ingest.accept(rig.draft())) for _ in range(5)]
    await rig.until(lambda: engine.committer._busy)
    await engine.stop(0.1)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {getattr(answer, "code", None) for answer in answers} == {"stopping"}


async def _unavailable(*_) -> None:
    raise StoreUnavailableError("away")


async def test_a_stop_in_the_middle_of_a_claim_loses_nothing(rig):
    await rig.endpoint("bad")
    rig.receivers.plan("bad", status(500), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    held, entered = asyncio.Event(), asyncio.Event()

    async def hold(*_):
        entered.set()
        await held.wait()

    rig.store.after["claim"] = hold
    rig.clock.advance(1.1)
    await entered.wait()
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0)
    held.set()
    await stopping
    rig.store.after.clear()
    assert await rig.count("pending", "lease_node IS NOT NULL") == 0
    await rig.engine()
    await rig.reach(message, "succeeded")
