"""Slots of rates: each is given once, in a row, and not far ahead."""

from __future__ import annotations

import asyncio

import pytest

from hookline.store.changes import SlotRequest
from hookline.store.pacing import HORIZON_S
from hookline.store.postgres import PostgresStore


async def test_slots_follow_each_other(store):
    (first,) = await store.take_slots([SlotRequest("ep_1", 4, 1)])
    assert (first.key, first.delay_s, first.count) == ("ep_1", 0.0, 1)
    (none,) = await store.take_slots([SlotRequest("ep_1", 4, 1)])
    if not none.count:  # the second one is a quarter of a second ahead: just within the horizon, or just beyond
        await asyncio.sleep(none.delay_s + 0.01)
        (none,) = await store.take_slots([SlotRequest("ep_1", 4, 1)])
    assert none.count == 1
    assert 0.0 < none.delay_s <= 0.25
    assert first.delay_s + HORIZON_S >= none.delay_s


async def test_each_rate_has_its_own(store):
    asked = [SlotRequest("ep_2", 10, 1), SlotRequest("app_1", 20, 3), SlotRequest("ep_1", 40, 1_000)]
    given = {slots.key: slots for slots in await store.take_slots(asked)}
    assert {key: (slots.delay_s, slots.count) for key, slots in given.items()} == {
        "ep_2": (0.0, 1),
        "app_1": (0.0, 3),
        "ep_1": (0.0, 10),
    }
    again = {slots.key: slots for slots in await store.take_slots([*asked, SlotRequest("new", 1, 1)])}
    assert again["new"].count == 1
    assert 0.0 < again["ep_2"].delay_s <= 0.1
    assert 0.0 < again["app_1"].delay_s <= 0.15


async def test_nothing_is_given_beyond_the_horizon(store):
    await store.take_slots([SlotRequest("ep", 1, 5)])
    (none,) = await store.take_slots([SlotRequest("ep", 1, 5)])
    assert none.count == 0
    assert 0.5 < none.delay_s <= 1 - HORIZON_S


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_nodes_never_get_the_same_slot(database, store):
    """However many ask at once: what they are given together is one row of slots."""
    other = PostgresStore(database.url, key_ring=store._key_ring)
    try:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        given = []
        while loop.time() < began_s + 1.0:
            asked = [SlotRequest("ep", 100, 4)]
            for slots in await asyncio.gather(store.take_slots(asked), other.take_slots(asked)):
                given += slots
            await asyncio.sleep(0.005)
        lasted_s = loop.time() - began_s
    finally:
        await other.close()
    count = sum(slots.count for slots in given)
    assert 0.95 * 100 * lasted_s <= count <= 100 * (lasted_s + HORIZON_S) + 1


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_rates_that_are_not_used_are_forgotten(database, world):
    await world.store.take_slots([SlotRequest("old", 1, 1), SlotRequest("new", 1, 1)])
    await database.fetch("UPDATE hookline_rates SET taken_until_ns = taken_until_ns - 3700000000000 WHERE key = 'old'")
    await world.store.prune(0, 0, 100)
    assert await database.fetch("SELECT key FROM hookline_rates") == [("new",)]
