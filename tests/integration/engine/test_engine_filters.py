"""Filters on payloads: what they say when a message is accepted is what is owed, whatever way it comes in."""

from __future__ import annotations

from hookline.model import Extras
from integration.engine.test_engine_outbox import put

LARGE = Extras(filter={"data.amount": {">": 100}})


async def test_a_filter_decides_at_acceptance(rig):
    await rig.endpoint("all")
    await rig.endpoint("large", extras=LARGE)
    engine = await rig.engine()
    small = await rig.accept(engine, payload=b'{"data": {"amount": 100}}')
    large = await rig.accept(engine, payload=b'{"data": {"amount": 101}}')
    odd = await rig.accept(engine, payload=b'{"data": "101"}')
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("large") == [large.id]
    assert sorted(rig.receivers.ids("all")) == sorted([small.id, large.id, odd.id])
    assert len(large.targets) == 2
    assert len(small.targets) == 1


async def test_a_message_that_no_filter_takes_is_kept_with_the_reason(rig):
    await rig.endpoint("large", extras=LARGE)
    engine = await rig.engine()
    message = await rig.accept(engine, payload=b"{}")
    kept = await rig.store.get_message(rig.scope, message.id)
    assert kept.targets == ()
    assert kept.note == "no endpoint's filter takes this payload"


async def test_what_comes_from_the_outbox_is_filtered_too(rig):
    await rig.endpoint("large", extras=LARGE)
    await rig.engine()
    await put(rig, payload='{"data": {"amount": 5}, "n": 1}')
    await put(rig, payload='{"data": {"amount": 500}, "n": 2}')
    await rig.until(lambda: len(rig.receivers.calls("large")) == 1)
    await rig.until(rig.nothing_owed)
    assert [request.body for request in rig.receivers.calls("large")] == [b'{"data": {"amount": 500}, "n": 2}']
    assert await rig.count("messages") == 2


async def test_a_change_of_the_filter_counts_from_the_next_message_on(rig):
    picky = await rig.endpoint("large", extras=LARGE)
    engine = await rig.engine()
    first = await rig.accept(engine, payload=b'{"data": {"amount": 200}}')
    await rig.change(picky, extras=Extras(filter={"data.amount": {"<": 100}}))
    second = await rig.accept(engine, payload=b'{"data": {"amount": 200}}')
    third = await rig.accept(engine, payload=b'{"data": {"amount": 2}}')
    await rig.until(rig.nothing_owed)
    assert rig.receivers.ids("large") == [first.id, third.id]
    assert second.targets == ()
