"""Acceptance: group commit, receipts, targets promised, stale routing, client-chosen keys, refusals."""

from __future__ import annotations

import asyncio

import pytest

from hookline.engine import Draft, OverloadedError, StoppingError, UnknownApplicationError
from hookline.model import EndpointStatus
from hookline.store import CommitResult, MessageKey, StoreError, StoreUnavailableError
from hookline.store.errors import AmbiguousCommitError
from integration.engine.rig import HANG, Rig, status


def keyed(rig: Rig, name: str, fingerprint: bytes = b"f") -> Draft:
    return rig.draft(event_id=name, keys=(MessageKey(f"event:{name}", fingerprint, rig.clock.now_ms() + 60_000),))


async def test_a_message_is_delivered_and_leaves_two_rows(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    assert await rig.count("messages") == await rig.count("attempts") == 1
    assert rig.receivers.ids("good") == [message.id]
    assert rig.receivers.calls("good")[0].body == message.payload


async def test_callers_that_come_during_a_commit_share_the_next_one(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    held = asyncio.Event()
    entered = asyncio.Event()
    before = len(rig.store.commits)

    async def hold(change):
        if not entered.is_set():
            entered.set()
            await held.wait()

    rig.store.before["commit"] = hold
    first = asyncio.create_task(engine.ingest.accept(rig.draft()))
    await entered.wait()
    others = [asyncio.create_task(engine.ingest.accept(rig.draft())) for _ in range(50)]
    await asyncio.sleep(0)
    held.set()
    await asyncio.gather(first, *others)
    sizes = [len(change.messages) for change in rig.store.commits[before:] if change.messages]
    assert sum(sizes) == 51
    assert max(sizes) >= 50 - 1
    assert len(sizes) <= 3


async def test_the_receipt_comes_after_the_commit_and_never_before(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    held = asyncio.Event()

    async def hold(change):
        await held.wait()

    rig.store.before["commit"] = hold
    waiting = asyncio.create_task(engine.ingest.accept(rig.draft()))
    await rig.until(lambda: rig.store.calls["commit"])
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert not rig.receivers.requests
    held.set()
    receipt = await waiting
    assert await rig.store.get_message(rig.scope, receipt.message.id) is not None


async def test_a_duplicate_costs_nobody_else_and_names_the_first(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    drafts = [keyed(rig, "a"), rig.draft(), keyed(rig, "a"), rig.draft(), keyed(rig, "b")]
    receipts = await asyncio.gather(*(engine.ingest.accept(draft) for draft in drafts))
    assert [receipt.duplicate is not None for receipt in receipts] == [False, False, True, False, False]
    assert receipts[2].duplicate.message_id == receipts[0].message.id
    assert await rig.count("messages") == 4
    again = await engine.ingest.accept(keyed(rig, "b", b"other"))
    assert (again.duplicate.message_id, again.duplicate.fingerprint) == (receipts[4].message.id, b"f")
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.requests) == 4


async def test_a_message_that_nobody_takes_is_kept_with_the_reason(rig):
    engine = await rig.engine()
    message = await rig.accept(engine)
    assert message.note == "the application has no endpoint"
    await rig.endpoint("picky", event_types=("invoice.*",))
    message = await rig.accept(engine)
    assert message.note == "no endpoint takes this event type and channel"
    stored = await rig.store.get_message(rig.scope, message.id)
    assert (stored.note, stored.targets) == (message.note, ())
    assert await rig.nothing_owed()


async def test_endpoints_changed_unnoticed_are_selected_again(rig):
    """The announcement is lost; the version in the transaction is not."""
    first = await rig.endpoint("first")
    engine = await rig.engine()
    engine._heard = lambda *_: None
    assert (await rig.accept(engine)).targets == (first.id,)
    table = engine.routing.cached(rig.app.id)
    second = await rig.endpoint("second")
    engine.routing._tables[rig.app.id] = table
    message = await rig.accept(engine)
    assert set(message.targets) == {first.id, second.id}
    await rig.reach(message, "succeeded")


async def test_more_than_64_targets_are_all_served(rig):
    names = [f"many{number}" for number in range(70)]
    for name in names:
        await rig.endpoint(name)
    engine = await rig.engine()
    message, again = await rig.accept(engine), await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    assert {name: len(rig.receivers.calls(name)) for name in names} == dict.fromkeys(names, 2)
    assert await rig.count("fanouts") == 1
    assert len((await rig.store.get_message(rig.scope, message.id)).targets) == len(again.targets) == 70


async def test_an_unknown_application_is_refused(rig):
    engine = await rig.engine()
    with pytest.raises(UnknownApplicationError):
        await engine.ingest.accept(rig.draft(app_id="app_none"))


async def test_an_application_deleted_since_is_refused_and_costs_nobody_else(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    table = engine.routing.cached(rig.app.id)
    await rig.store.delete_application(rig.scope, rig.clock.now_ms())
    engine.routing._tables[rig.app.id] = table
    with pytest.raises(UnknownApplicationError):
        await rig.accept(engine)


async def test_too_many_waiting_messages_are_refused_at_once(rig):
    await rig.endpoint("good")
    engine = await rig.engine(max_waiting_messages=10)
    await rig.accept(engine)
    held = asyncio.Event()

    async def hold(change):
        await held.wait()

    rig.store.before["commit"] = hold
    waiting = [asyncio.create_task(engine.ingest.accept(rig.draft())) for _ in range(100)]
    refused = await rig.until(lambda: [task for task in waiting if task.done()])
    assert all(isinstance(task.exception(), OverloadedError) for task in refused)
    held.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    kept = [answer for answer in answers if not isinstance(answer, Exception)]
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} == {OverloadedError}
    assert len(kept) >= 10
    assert await rig.count("messages") == 1 + len(kept)


async def test_messages_whose_endpoints_are_being_loaded_count_as_waiting(rig):
    engine = await rig.engine(max_waiting_messages=10)
    held = asyncio.Event()

    async def hold(app_id):
        await held.wait()

    rig.store.before["load_routing"] = hold
    waiting = [asyncio.create_task(engine.ingest.accept(rig.draft())) for _ in range(25)]
    refused = await rig.until(lambda: [task for task in waiting if task.done()])
    held.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(refused) == 15
    assert await rig.count("messages") == 10


async def test_before_start_and_after_stop_nothing_is_accepted(rig):
    engine = await rig.engine(start=False)
    with pytest.raises(StoppingError):
        await rig.accept(engine)
    await engine.start()
    await rig.accept(engine)
    await engine.stop()
    with pytest.raises(StoppingError):
        await rig.accept(engine)


async def test_without_the_database_the_caller_is_told_and_nothing_is_kept(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    rig.store.away = StoreUnavailableError("away")
    with pytest.raises(StoreUnavailableError):
        await rig.accept(engine)
    assert engine.health().reason == "the database does not answer"
    rig.store.away = None
    await rig.until(lambda: engine.health().accepting)
    await rig.accept(engine)
    assert await rig.count("messages") == 2


async def test_a_commit_whose_answer_was_lost_is_looked_up(rig):
    """It happened: receipts are given and the deliveries made, once."""
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    lost = []

    async def lose_answer(change):
        if change.messages and not lost:
            lost.append(change)
            raise AmbiguousCommitError("the connection broke", result=CommitResult())

    rig.store.after["commit"] = lose_answer
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("good").count(message.id) == 1
    assert await rig.count("messages") == 2


async def test_a_commit_that_did_not_happen_is_never_made_up_for(rig):
    """Its id is taken: should the transaction come through after all, it fails. The caller is told."""
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)
    lost = []

    async def lose_commit(change):
        if change.messages and not lost:
            lost.append(change)
            raise AmbiguousCommitError("the connection broke", result=CommitResult())

    rig.store.before["commit"] = lose_commit
    with pytest.raises(AmbiguousCommitError):
        await rig.accept(engine)
    rig.store.before.clear()
    with pytest.raises((StoreError, ValueError)):
        await rig.store.real.commit(lost[0])
    assert await rig.count("messages") == 1


async def test_endpoints_in_trouble_slow_nobody_else_down(rig):
    """A paused endpoint collects, a disabled one does not, a deleted one is not asked."""
    paused = await rig.endpoint("paused", status=EndpointStatus.PAUSED)
    await rig.endpoint("disabled", status=EndpointStatus.DISABLED)
    gone = await rig.endpoint("gone")
    good = await rig.endpoint("good")
    await rig.store.delete_endpoint(rig.scope, gone.id, rig.clock.now_ms())
    engine = await rig.engine()
    message = await rig.accept(engine)
    assert set(message.targets) == {paused.id, good.id}
    await rig.until(lambda: rig.receivers.calls("good"))
    await rig.until(lambda: _states(rig, message, ["parked", "succeeded"]))
    assert not rig.receivers.calls("paused")


async def _states(rig: Rig, message, wanted) -> bool:
    return await rig.states(message) == wanted


async def test_a_message_the_database_refuses_costs_only_itself(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)

    async def refuse(change):
        if any(new.message.payload == b'{"bad":1}' for new in change.messages):
            raise ValueError("no such thing")

    rig.store.before["commit"] = refuse
    drafts = [rig.draft() for _ in range(9)]
    drafts.insert(4, rig.draft(payload=b'{"bad":1}'))
    answers = await asyncio.gather(*(engine.ingest.accept(draft) for draft in drafts), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [number == 4 for number in range(10)]
    assert answers[4].code == "engine_error"
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("good")) == 10


async def test_a_caller_that_breaks_costs_only_itself(rig):
    await rig.endpoint("good")
    engine = await rig.engine()
    await rig.accept(engine)

    def broken(answer):
        raise RuntimeError("the connection is gone")

    engine.ingest.offer(rig.draft(), broken)
    messages = await rig.accept_many(engine, 3)
    for message in messages:
        await rig.reach(message, "succeeded")
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("good")) == 5


async def test_what_waits_for_a_receiver_does_not_hold_up_acceptance(rig):
    """A receiver that never answered is no reason to think that it is us who are slow."""
    await rig.endpoint("hangs")
    rig.receivers.plan("hangs", HANG)
    engine = await rig.engine(congestion_threshold=5, lane_concurrency=4)
    await rig.accept_many(engine, 40)
    assert engine.dispatcher.congestion() > 5
    rig.clock.advance(0.3)
    assert engine.dispatcher.congestion() == 0
    rig.receivers.plan("hangs", status(200))
    rig.receivers.release("hangs")
    await rig.until(rig.nothing_owed)
