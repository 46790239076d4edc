"""A payload that is removed while its delivery is in memory: what has not started is never sent."""

from __future__ import annotations

from hookline.store import AppScope
from integration.engine.rig import HANG, Rig, status
from support.store import ORG


async def test_what_waits_in_memory_is_let_go(rig: Rig):
    endpoint = await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lane_concurrency=1)
    first = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    doomed, kept = await rig.accept(engine), await rig.accept(engine)
    assert len(engine.dispatcher.lanes[endpoint.id].queue) == 2
    await rig.store.expunge_messages(rig.scope, [doomed.id], rig.clock.now_ms())
    await rig.until(lambda: not engine.dispatcher.lanes[endpoint.id].queue)
    rig.receivers.plan("slow", status(200))
    rig.receivers.release("slow")
    await rig.reach(first, "succeeded")
    await rig.reach(kept, "succeeded")
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("slow") == [first.id, kept.id]
    assert await rig.state(doomed) == "canceled"
    assert [attempt.reason for attempt in await rig.attempts(doomed)] == ["payload_expunged"]


async def test_what_is_on_its_way_is_not_tried_again(rig: Rig):
    await rig.endpoint("bad", schedule_s=(1, 1))
    rig.receivers.plan("bad", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("bad"))
    await rig.store.expunge_messages(rig.scope, [message.id], rig.clock.now_ms())
    rig.receivers.release("bad", status(500))
    await rig.until(lambda: _attempted(rig, message, 2))
    rig.clock.advance(5)
    await rig.until(rig.nothing_owed)
    await rig.rounds()
    assert len(rig.receivers.calls("bad")) == 1
    assert await rig.state(message) == "canceled"


async def test_lanes_of_other_applications_keep_what_they_have(rig: Rig):
    endpoint = await rig.endpoint("slow")
    rig.receivers.plan("slow", HANG)
    engine = await rig.engine(lane_concurrency=1)
    await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("slow"))
    waits = await rig.accept(engine)
    await rig.store.expunge_messages(AppScope(ORG, "app_other"), ["msg_none"], rig.clock.now_ms())
    engine.dispatcher.let_go("app_other")
    assert [one.message.id for one in engine.dispatcher.lanes[endpoint.id].queue] == [waits.id]
    rig.receivers.plan("slow", status(200))
    rig.receivers.release("slow")
    await rig.reach(waits, "succeeded")


async def _attempted(rig: Rig, message, count: int) -> bool:
    return len(await rig.attempts(message)) == count


async def test_a_deleted_application_is_erased_at_once(rig: Rig):
    """Its deletion wakes the Pruner, which would otherwise sleep for an hour here."""
    await rig.endpoint("good")
    await rig.endpoint("bad", schedule_s=(1e6,))
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine(tidy_every_s=3_600.0)
    for message in await rig.accept_many(engine, 3):
        await rig.until(lambda message=message: _attempted(rig, message, 2))
    assert await rig.store.delete_application(rig.scope, rig.clock.now_ms())

    async def erased() -> bool:
        return not [table for table in ("messages", "attempts", "pending") if await rig.count(table)]

    await rig.until(erased)
