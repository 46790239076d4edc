"""Messages for later: they wait on disk, go out when their time comes, and are canceled with their endpoint."""

from __future__ import annotations

import pytest

from integration.engine.rig import HANG, Rig, status

HOUR_S = 3_600


async def test_a_message_goes_out_when_its_time_comes(rig: Rig):
    endpoint = await rig.endpoint("later")
    engine = await rig.engine()
    message = await rig.accept(engine, deliver_at_ms=rig.clock.now_ms() + HOUR_S * 1000)
    (view,) = await rig.deliveries(message)
    assert (view.endpoint_id, view.state, view.attempts) == (endpoint.id, "delayed", 0)
    assert view.next_attempt_at_ms == message.deliver_at_ms
    rig.clock.advance(HOUR_S - 1)
    await rig.rounds()
    assert rig.receivers.calls("later") == []
    rig.clock.advance(1)
    await rig.reach(message, "succeeded")
    assert rig.receivers.ids("later") == [message.id]
    (attempt,) = await rig.attempts(message)
    assert attempt.number == 1
    assert await rig.nothing_owed()


async def test_it_survives_the_death_of_its_node(rig: Rig):
    await rig.endpoint("later")
    first = await rig.engine(own_store=True)
    message = await rig.accept(first, deliver_at_ms=rig.clock.now_ms() + HOUR_S * 1000)
    await rig.kill(first)
    await rig.engine()
    rig.clock.advance(HOUR_S - 1)
    await rig.rounds()
    assert await rig.state(message) == "delayed"
    rig.clock.advance(1)
    await rig.reach(message, "succeeded")
    assert rig.receivers.ids("later") == [message.id]


async def test_it_is_retried_like_any_other(rig: Rig):
    await rig.endpoint("later", schedule_s=(5,))
    rig.receivers.plan("later", status(500), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine, deliver_at_ms=rig.clock.now_ms() + HOUR_S * 1000)
    rig.clock.advance(HOUR_S)
    await rig.reach(message, "retrying")
    rig.clock.advance(5)
    await rig.reach(message, "succeeded")
    assert [attempt.number for attempt in await rig.attempts(message)] == [1, 2]


async def test_a_deleted_endpoint_takes_what_it_was_to_get_later_with_it(rig: Rig):
    endpoint = await rig.endpoint("later")
    engine = await rig.engine()
    message = await rig.accept(engine, deliver_at_ms=rig.clock.now_ms() + HOUR_S * 1000)
    assert await rig.store.delete_endpoint(rig.scope, endpoint.id, rig.clock.now_ms())
    await rig.reach(message, "canceled")
    rig.clock.advance(2 * HOUR_S)
    await rig.rounds()
    assert rig.receivers.calls("later") == []
    assert await rig.nothing_owed()


@pytest.mark.parametrize("hangs", [False, True])
async def test_in_an_ordered_endpoint_it_takes_its_turn_when_its_time_comes(rig: Rig, hangs: bool):
    """It holds up nobody before, and then it is sent alone, like everything there."""
    await rig.endpoint("line", ordered=True)
    engine = await rig.engine()
    later = await rig.accept(engine, deliver_at_ms=rig.clock.now_ms() + HOUR_S * 1000)
    before = await rig.accept(engine)
    await rig.reach(before, "succeeded")
    assert rig.receivers.ids("line") == [before.id]
    if hangs:
        rig.receivers.plan("line", HANG)
    rig.clock.advance(HOUR_S)
    if hangs:
        await rig.until(lambda: rig.receivers.open("line"))
        behind = await rig.accept(engine)
        await rig.rounds()
        assert rig.receivers.ids("line") == [before.id, later.id]
        rig.receivers.plan("line", status(200))
        rig.receivers.release("line")
        await rig.reach(behind, "succeeded")
    await rig.reach(later, "succeeded")
    assert await rig.nothing_owed()
