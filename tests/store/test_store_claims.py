"""Lanes: what is due, claiming it by due time or in order, lane leases, nodes."""

from __future__ import annotations

import pytest

from hookline.model import EndpointStatus, Kind
from hookline.store import FencedError, LaneHealth, NodeLease, Outcome, Want
from support.store import NOW, SECOND, World, attempt, failure


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


@pytest.fixture
async def ordered(world: World) -> str:
    return (await world.endpoint(ordered=True)).id


# --- nodes


async def test_each_registration_has_a_higher_epoch(world):
    again = await world.store.register_node(world.node.node_id, 60.0)
    assert again.epoch > world.node.epoch
    assert await world.store.renew_lease(world.node, 60.0) is False
    assert await world.store.renew_lease(again, 60.0) is True


async def test_an_epoch_never_comes_back(world):
    """Not even after the node was retired and its row is gone: what it left behind must stay somebody else's."""
    first = await world.store.register_node("node_x", 60.0)
    await world.store.retire_node(first)
    second = await world.store.register_node("node_x", 60.0)
    assert second.epoch > first.epoch


async def test_retiring_frees_leases_without_a_rescue(world, database, target, ordered):
    leaving = await world.store.register_node("node_leaving", 60.0)
    (sent,) = await world.free(target, due_at_ms=NOW - 5)
    await world.accept_ordered(ordered)
    await world.lease(target, node=leaving)
    await world.lease(ordered, node=leaving, ordered=True)
    assert await world.due() == []
    await world.store.retire_node(leaving)
    assert await database.count("nodes", "id = 'node_leaving'") == 0
    assert await database.fetch("SELECT DISTINCT lease_node, lease_epoch, rescues FROM hookline_pending") == [
        (None, None, 0)
    ]
    assert set(await world.due()) == {target, ordered}
    assert (await world.lease(target))[0].message.id == sent.id
    assert len(await world.lease(ordered, ordered=True)) == 1


async def test_retiring_leaves_others_alone(world, database, target):
    leaving = await world.store.register_node("node_leaving", 60.0)
    await world.free(target)
    await world.lease(target)
    await world.store.retire_node(leaving)
    assert await database.value("SELECT lease_node FROM hookline_pending") == world.node.node_id


# --- due lanes


async def test_longest_due_first_up_to_the_limit(world):
    names = [(await world.endpoint()).id for _ in range(4)]
    for name, due in zip(names, (NOW - 10, NOW - 30, NOW + 1, NOW - 20), strict=True):
        await world.free(name, due_at_ms=due)
    lanes = await world.store.due_lanes(world.node, NOW, 10)
    assert [lane.endpoint_id for lane in lanes] == [names[1], names[3], names[0]]
    assert [lane.next_due_at_ms for lane in lanes] == [NOW - 30, NOW - 20, NOW - 10]
    assert [lane.endpoint_id for lane in await world.store.due_lanes(world.node, NOW, 2)] == [names[1], names[3]]


async def test_a_due_lane_says_whose_it_is(world, target, ordered):
    await world.free(target)
    await world.accept_ordered(ordered)
    lanes = {lane.endpoint_id: lane for lane in await world.store.due_lanes(world.node, NOW, 10)}
    assert (lanes[target].app_id, lanes[target].org_id) == (world.app.id, world.app.org_id)
    assert (lanes[target].ordered, lanes[ordered].ordered) == (False, True)
    assert lanes[target].health == LaneHealth(target, world.app.id, "closed", 0, 0, None)


@pytest.mark.parametrize("status", [EndpointStatus.DISABLED, EndpointStatus.PAUSED])
async def test_endpoints_that_are_not_enabled_are_not_due(world, status):
    one = await world.endpoint()
    await world.free(one.id)
    await world.set_status(one, status)
    assert await world.due() == []
    assert await world.store.next_due_at(NOW - SECOND) is None


async def test_what_was_parked_goes_on_at_once(world):
    one = await world.endpoint()
    await world.free(one.id)
    await world.set_status(one, EndpointStatus.DISABLED)
    await world.write(lanes=[LaneHealth(one.id, world.app.id, "open", NOW + 999, 9, NOW - 5)])
    await world.set_status(one, EndpointStatus.ENABLED)
    assert await world.due() == [one.id]
    assert await world.store.lane_health([one.id]) == [LaneHealth(one.id, world.app.id, "closed", 0, 0, None)]


async def test_an_update_of_an_enabled_endpoint_leaves_its_lane_open(world):
    one = await world.endpoint()
    await world.free(one.id)
    health = LaneHealth(one.id, world.app.id, "open", NOW + 999, 9, NOW - 5)
    await world.write(lanes=[health])
    await world.set_status(one, EndpointStatus.ENABLED)
    assert await world.store.lane_health([one.id]) == [health]


async def test_a_deleted_endpoint_is_not_due(world, target):
    await world.free(target)
    await world.store.delete_endpoint(world.scope, target, NOW)
    assert await world.due() == []
    assert await world.store.next_due_at(NOW) is None


async def test_an_open_lane_is_due_when_its_time_is_over(world, target):
    await world.free(target)
    health = LaneHealth(target, world.app.id, "open", NOW + 50, 3, NOW)
    await world.write(lanes=[health])
    assert await world.due() == []
    assert await world.store.next_due_at(NOW) == NOW + 50
    (lane,) = await world.store.due_lanes(world.node, NOW + 50, 10)
    assert lane.health == health


async def test_nothing_is_due_when_nothing_waits(world, target):
    assert await world.due() == []
    assert await world.store.next_due_at(NOW) is None
    assert await world.store.lane_health([target, "ep_none"]) == []


# --- claiming by due time


async def test_a_claim_takes_what_is_due_oldest_first(world, database, target):
    late, early, future = [(await world.free(target, due_at_ms=due))[0] for due in (NOW - 1, NOW - 2, NOW + 1)]
    claimed = await world.lease(target)
    assert [one.message for one in claimed] == [early, late]
    assert {(one.endpoint_id, one.kind, one.attempts, one.rescues, one.sequence) for one in claimed} == {
        (target, Kind.SCHEDULED, 0, 0, None)
    }
    assert [one.due_at_ms for one in claimed] == [NOW - 2, NOW - 1]
    leased = await database.fetch(
        "SELECT message_id, lease_node, lease_epoch FROM hookline_pending WHERE lease_node IS NOT NULL"
    )
    assert set(leased) == {(one.id, world.node.node_id, world.node.epoch) for one in (early, late)}
    assert await world.store.next_due_at(NOW) == NOW + 1
    assert future.id not in {row[0] for row in leased}


async def test_a_claim_takes_no_more_than_there_is_room(world, target):
    await world.free(target, count=5)
    assert len(await world.lease(target, room=2)) == 2
    assert await world.due() == [target]
    assert len(await world.lease(target, room=2)) == 2
    assert len(await world.lease(target, room=2)) == 1
    assert await world.lease(target, room=2) == []
    assert await world.due() == []


async def test_a_claim_serves_several_lanes(world, target, ordered):
    other = (await world.endpoint()).id
    await world.free(target, count=2)
    await world.free(other, count=3)
    await world.accept_ordered(ordered, count=2)
    wants = [Want(target, 1), Want(other, 5), Want(ordered, 1, ordered=True)]
    claimed = await world.store.claim(world.node, wants, NOW)
    counts = {name: sum(one.endpoint_id == name for one in claimed) for name in (target, other, ordered)}
    assert counts == {target: 1, other: 3, ordered: 1}


async def test_no_two_nodes_claim_one_delivery(world, target):
    other = await world.store.register_node("node_other", 60.0)
    sent = await world.free(target, count=10)
    mine = await world.lease(target, room=4)
    theirs = await world.lease(target, node=other, room=100)
    assert len(mine) == 4
    assert sorted(one.message.id for one in mine + theirs) == [one.id for one in sent]


async def test_claims_at_the_same_time_share_without_overlap(world, target):
    import anyio

    nodes = [await world.store.register_node(f"node_{number}", 60.0) for number in range(4)]
    sent = await world.free(target, count=40)
    claimed: list[str] = []

    async def take(node: NodeLease) -> None:
        for _ in range(5):
            claimed.extend(one.message.id for one in await world.lease(target, node=node, room=3))

    async with anyio.create_task_group() as group:
        for node in nodes:
            group.start_soon(take, node)
    claimed.extend(one.message.id for one in await world.lease(target))
    assert sorted(claimed) == [one.id for one in sent]


async def test_a_claim_tells_what_was_tried_before(world, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=3), retry_at_ms=NOW))
    (claimed,) = await world.lease(target)
    assert (claimed.attempts, claimed.rescues, claimed.message) == (3, 0, sent)


async def test_a_claim_brings_the_targets_of_a_great_fanout(world, target):
    names = (target, *(f"ep_{number:04d}" for number in range(99)))
    (sent,) = await world.accept(*names)
    await world.record(Outcome(failure(sent, target), retry_at_ms=NOW))
    (claimed,) = await world.lease(target)
    assert claimed.message.targets == names


async def test_a_fenced_node_claims_nothing(world, target):
    await world.free(target)
    old = world.node
    world.node = await world.store.register_node(old.node_id, 60.0)
    with pytest.raises(FencedError):
        await world.lease(target, node=old)
    assert len(await world.lease(target)) == 1


# --- claiming in order


async def test_an_ordered_claim_goes_by_sequence(world, ordered):
    sent = await world.accept_ordered(ordered, count=4)
    claimed = await world.lease(ordered, room=3, ordered=True)
    assert [one.message for one in claimed] == sent[:3]
    assert [one.sequence for one in claimed] == [1, 2, 3]


async def test_an_ordered_claim_stops_at_a_leased_head(world, ordered):
    first, second, _ = await world.accept_ordered(ordered, count=3)
    assert len(await world.lease(ordered, room=1, ordered=True)) == 1
    assert await world.lease(ordered, room=5, ordered=True) == []
    await world.record(Outcome(attempt(first, ordered), has_row=True))
    assert (await world.lease(ordered, room=1, ordered=True))[0].message == second


async def test_an_ordered_claim_stops_at_a_head_that_waits(world, ordered):
    first, second = await world.accept_ordered(ordered, count=2)
    await world.lease(ordered, room=1, ordered=True)
    await world.record(Outcome(failure(first, ordered), retry_at_ms=NOW + 50, has_row=True))
    assert await world.lease(ordered, ordered=True) == []
    assert await world.due() == []
    assert await world.store.next_due_at(NOW) == NOW + 50
    world.now_ms = NOW + 50
    assert [one.message for one in await world.lease(ordered, ordered=True)] == [first, second]


async def test_an_exhausted_head_is_skipped(world, ordered):
    first, second = await world.accept_ordered(ordered, count=2)
    await world.lease(ordered, room=1, ordered=True)
    await world.record(Outcome(failure(first, ordered, final=True), has_row=True))
    assert [one.message for one in await world.lease(ordered, ordered=True)] == [second]


async def test_a_new_message_does_not_overtake_a_waiting_head(world, ordered):
    (first,) = await world.accept_ordered(ordered)
    await world.lease(ordered, ordered=True)
    await world.record(Outcome(failure(first, ordered), retry_at_ms=NOW + 50, has_row=True))
    await world.accept_ordered(ordered)
    assert await world.lease(ordered, ordered=True) == []


async def test_one_living_node_at_a_time_has_an_ordered_lane(world, ordered):
    other = await world.store.register_node("node_other", 60.0)
    await world.accept_ordered(ordered, count=2)
    assert len(await world.lease(ordered, room=1, ordered=True)) == 1
    assert await world.lease(ordered, node=other, ordered=True) == []
    assert await world.due(other) == []
    await world.store.release_lanes(world.node, [ordered])
    assert await world.lease(ordered, node=other, ordered=True) == []  # ours is still on its way, and is the head


async def test_a_released_lane_goes_to_whoever_asks(world, ordered):
    other = await world.store.register_node("node_other", 60.0)
    first, second = await world.accept_ordered(ordered, count=2)
    await world.lease(ordered, room=1, ordered=True)
    await world.record(Outcome(attempt(first, ordered), has_row=True))
    assert await world.lease(ordered, node=other, ordered=True) == []
    await world.store.release_lanes(world.node, [ordered])
    assert [one.message for one in await world.lease(ordered, node=other, ordered=True)] == [second]
    await world.store.release_lanes(world.node, [ordered])  # not ours any more: no effect
    assert await world.lease(ordered, ordered=True) == []


async def test_a_lane_of_a_dead_node_is_taken_over(world, ordered):
    other = await world.store.register_node("node_other", 60.0)
    first, second = await world.accept_ordered(ordered, count=2)
    await world.lease(ordered, node=other, room=1, ordered=True)
    await world.record(Outcome(attempt(first, ordered), has_row=True), node=other)
    assert await world.due() == []
    await world.die(other)
    assert await world.due() == [ordered]
    assert [one.message for one in await world.lease(ordered, ordered=True)] == [second]


async def test_a_dead_nodes_head_is_not_overtaken_before_its_rescue(world, ordered):
    other = await world.store.register_node("node_other", 60.0)
    first, second = await world.accept_ordered(ordered, count=2)
    await world.lease(ordered, node=other, room=1, ordered=True)
    await world.die(other)
    assert await world.lease(ordered, ordered=True) == []
    await world.store.rescue(world.node, NOW, 100)
    assert await world.due() == [ordered]
    assert [one.message for one in await world.lease(ordered, ordered=True)] == [first, second]


async def test_a_manual_resend_to_an_ordered_endpoint_is_sent(world, ordered):
    (sent,) = await world.accept_ordered(ordered)
    await world.lease(ordered, ordered=True)
    await world.record(Outcome(failure(sent, ordered, final=True), has_row=True))
    assert await world.store.request_resend(world.scope, sent.id, ordered, NOW)
    assert await world.due() == [ordered]
    (claimed,) = await world.lease(ordered, ordered=True)
    assert (claimed.kind, claimed.message) == (Kind.MANUAL, sent)


async def test_deliveries_of_the_time_before_an_endpoint_was_ordered_are_sent(world):
    import msgspec

    one = await world.endpoint()
    (old,) = await world.free(one.id)
    await world.store.update_endpoint(msgspec.structs.replace(one, ordered=True))
    (new,) = await world.accept_ordered(one.id)
    assert await world.due() == [one.id]
    assert {claimed.message.id for claimed in await world.lease(one.id, ordered=True)} == {old.id, new.id}


async def test_deliveries_of_the_time_when_an_endpoint_was_ordered_are_sent(world):
    import msgspec

    one = await world.endpoint(ordered=True)
    (old,) = await world.accept_ordered(one.id)
    await world.store.update_endpoint(msgspec.structs.replace(one, ordered=False))
    (new,) = await world.free(one.id)
    assert {claimed.message.id for claimed in await world.lease(one.id)} == {old.id, new.id}
