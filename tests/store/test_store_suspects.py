"""Suspects: what two nodes died with is claimed alone, so that nothing becomes poison that only waited for its turn."""

from __future__ import annotations

import pytest

from hookline.store.changes import SUSPECT_AFTER, count_claimable
from support.store import LEASE_S, NOW, World


@pytest.mark.parametrize(
    ("rescues", "count"),
    [([], 0), ([0, 1, 0], 3), ([1, SUSPECT_AFTER, 0], 1), ([SUSPECT_AFTER, 0], 1), ([0, 0, SUSPECT_AFTER, 9], 2)],
)
def test_how_many_may_be_claimed_at_once(rescues, count):
    assert count_claimable(rescues) == count


async def die_with_all(world: World, target: str, name: str, *, ordered: bool) -> int:
    """Let a node claim what it gets, and die; how many that were."""
    victim = await world.store.register_node(name, LEASE_S)
    claimed = await world.lease(target, node=victim, ordered=ordered)
    await world.die(victim)
    while (await world.store.rescue(world.node, NOW, 100)).more:
        pass
    return len(claimed)


@pytest.mark.parametrize("ordered", [False, True])
async def test_suspects_are_claimed_alone(world, database, ordered):
    target = (await world.endpoint(ordered=ordered)).id
    if ordered:
        await world.accept_ordered(target, count=5)
    else:
        await world.free(target, count=5)
    for number in range(SUSPECT_AFTER):
        assert await die_with_all(world, target, f"node_bulk_{number}", ordered=ordered) == 5
    for number in range(2):
        assert await die_with_all(world, target, f"node_alone_{number}", ordered=ordered) == 1
    # Only those that a node had alone came to an end; the others have been waiting, and are free.
    poison = await database.fetch("SELECT count(*) FROM hookline_attempts WHERE reason = 'poison'")
    assert poison[0][0] <= 1
    assert await database.fetch("SELECT count(*) FROM hookline_pending WHERE lease_node IS NOT NULL") == [(0,)]
    assert poison[0][0] + await database.count("pending") == 5


async def test_what_comes_before_a_suspect_is_claimed_together(world, database):
    target = (await world.endpoint()).id
    suspect = await world.free(target, due_at_ms=NOW - 1)
    for number in range(SUSPECT_AFTER):
        await die_with_all(world, target, f"node_{number}", ordered=False)
    fresh = await world.free(target, due_at_ms=NOW - 10, count=3)
    assert {one.message.id for one in await world.lease(target)} == {one.id for one in fresh}
    assert [one.message for one in await world.lease(target)] == suspect
    assert await world.due() == []


async def test_what_is_left_behind_stays_due(world):
    target = (await world.endpoint()).id
    await world.free(target, count=2)
    for number in range(SUSPECT_AFTER):
        await die_with_all(world, target, f"node_{number}", ordered=False)
    (first,) = await world.lease(target)
    assert first.is_suspect
    assert await world.due() == [target]
    (second,) = await world.lease(target)
    assert second.message.id != first.message.id
    assert await world.due() == []
