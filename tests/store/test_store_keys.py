"""Deliveries in the order of their keys: the first of each is due, those behind it wait, whatever ends the first."""

from __future__ import annotations

import asyncio

import pytest

from hookline.model import DeliveryState, EndpointStatus, Extras, Kind, Message
from hookline.store import NewMessage, NodeLease, Outcome, Want
from hookline.store.changes import Claimed
from hookline.store.postgres import PostgresStore
from support.store import NOW, SECOND, World, attempt, failure, message

ROOM = 100


@pytest.fixture
async def keyed(world: World) -> str:
    return (await world.endpoint(ordered=True, extras=Extras(order_key="key"))).id


async def accept(world: World, endpoint_id: str, *keys: str) -> list[Message]:
    messages = [message(world.app.id, endpoint_id, at_ms=NOW + number) for number in range(len(keys))]
    news = [
        NewMessage(one, ordered=(endpoint_id,), order_keys={endpoint_id: key})
        for one, key in zip(messages, keys, strict=True)
    ]
    await world.write(messages=news)
    return messages


async def claim(world: World, endpoint_id: str, *, node: NodeLease | None = None, room: int = ROOM) -> list[Claimed]:
    return await world.store.claim(node or world.node, [Want(endpoint_id, room, keyed=True)], world.now_ms)


async def claim_ids(world: World, endpoint_id: str, **how: object) -> set[str]:
    return {one.message.id for one in await claim(world, endpoint_id, **how)}


async def succeed(world: World, endpoint_id: str, *messages: Message) -> None:
    await world.record(*(Outcome(attempt(one, endpoint_id), has_row=True) for one in messages))


async def test_the_first_of_each_key_can_be_claimed(world, keyed):
    a1, b1, a2, c1, b2 = await accept(world, keyed, "a", "b", "a", "", "b")
    assert await claim_ids(world, keyed) == {a1.id, b1.id, c1.id}
    assert await claim_ids(world, keyed) == set()
    await succeed(world, keyed, b1)
    assert await world.due() == [keyed]
    assert await claim_ids(world, keyed) == {b2.id}
    await succeed(world, keyed, a1)
    assert await claim_ids(world, keyed) == {a2.id}


async def test_a_due_lane_says_that_it_goes_by_keys(world, keyed):
    await accept(world, keyed, "a")
    (lane,) = await world.store.due_lanes(world.node, NOW, 10)
    assert (lane.keyed, lane.ordered) == (True, False)


async def test_a_lane_in_which_all_wait_is_not_due(world, keyed):
    """Else a node would look in vain at every message that is accepted."""
    (first,) = await accept(world, keyed, "a")
    assert await claim_ids(world, keyed) == {first.id}
    await accept(world, keyed, "a", "a")
    assert await world.due() == []
    await succeed(world, keyed, first)
    assert await world.due() == [keyed]


async def test_nodes_share_the_keys(world, keyed):
    node_b = await world.store.register_node("node_b", 60.0)
    a1, b1, a2 = await accept(world, keyed, "a", "b", "a")
    here = await claim_ids(world, keyed, room=1)
    there = await claim_ids(world, keyed, node=node_b)
    assert here | there == {a1.id, b1.id}
    assert len(here) == 1
    owner = world.node if a1.id in here else node_b
    await world.record(Outcome(attempt(a1, keyed), has_row=True), node=owner)
    assert await claim_ids(world, keyed, node=node_b) == {a2.id}


async def test_a_first_that_waits_for_its_retry_holds_its_key_alone(world, keyed):
    a1, a2, b1 = await accept(world, keyed, "a", "a", "b")
    await claim(world, keyed)
    await world.record(Outcome(failure(a1, keyed), retry_at_ms=NOW + 5 * SECOND, has_row=True))
    await succeed(world, keyed, b1)
    assert await claim_ids(world, keyed) == set()
    world.now_ms = NOW + 5 * SECOND
    (again,) = await claim(world, keyed)
    assert (again.message.id, again.attempts) == (a1.id, 1)
    await world.record(Outcome(failure(a1, keyed, final=True, number=2), has_row=True))
    assert await claim_ids(world, keyed) == {a2.id}  # an exhausted one is skipped


async def test_what_waits_behind_its_key_is_owed(world, keyed):
    a1, a2 = await accept(world, keyed, "a", "a")
    for one in (a1, a2):
        (view,) = await world.store.deliveries_of_message(world.scope, one.id, NOW)
        assert view.state is DeliveryState.OWED
    assert view.next_attempt_at_ms is None
    backlog = await world.store.backlog(NOW)
    assert (backlog.due, backlog.waiting, backlog.oldest_due_at_ms) == (1, 1, NOW)


async def test_a_manual_success_lets_the_next_one_go(world, keyed):
    a1, a2 = await accept(world, keyed, "a", "a")
    assert await world.store.request_resend(world.scope, a1.id, keyed, NOW)
    claimed = await claim(world, keyed)
    assert {(one.message.id, one.kind) for one in claimed} == {(a1.id, Kind.MANUAL), (a1.id, Kind.SCHEDULED)}
    await world.record(Outcome(attempt(a1, keyed, kind=Kind.MANUAL, number=-1), has_row=True))
    assert await claim_ids(world, keyed) == {a2.id}


async def test_a_resend_stands_beside_its_key(world, keyed):
    a1, a2 = await accept(world, keyed, "a", "a")
    await claim(world, keyed)
    await succeed(world, keyed, a1)
    assert await claim_ids(world, keyed) == {a2.id}
    assert await world.store.request_resend(world.scope, a1.id, keyed, NOW)
    (resent,) = await claim(world, keyed)
    assert (resent.message.id, resent.kind) == (a1.id, Kind.MANUAL)


async def test_a_key_goes_on_after_its_node_died(world, keyed):
    node_b = await world.store.register_node("node_b", 60.0)
    a1, a2 = await accept(world, keyed, "a", "a")
    await claim(world, keyed)
    await world.die(world.node)
    assert await claim_ids(world, keyed, node=node_b) == set()
    await world.store.rescue(node_b, NOW, 100)
    assert await claim_ids(world, keyed, node=node_b) == {a1.id}
    await world.record(Outcome(attempt(a1, keyed), has_row=True), node=node_b)
    assert await claim_ids(world, keyed, node=node_b) == {a2.id}


async def test_a_first_that_ends_as_poison_lets_the_next_one_go(world, keyed):
    a1, a2 = await accept(world, keyed, "a", "a")
    for number in range(2):
        node = await world.store.register_node(f"victim{number}", 60.0)
        assert await claim_ids(world, keyed, node=node) == {a1.id}
        await world.die(node)
        await world.store.rescue(world.node, NOW, 100, poison_after=1)
    (view,) = await world.store.deliveries_of_message(world.scope, a1.id, NOW)
    assert view.state is DeliveryState.EXHAUSTED
    assert await world.due() == [keyed]
    assert await claim_ids(world, keyed) == {a2.id}


async def test_a_payload_that_expires_lets_the_next_one_go(world, keyed):
    expiring = message(world.app.id, keyed, payload_expires_at_ms=NOW + SECOND)
    await world.write(messages=[NewMessage(expiring, ordered=(keyed,), order_keys={keyed: "a"})])
    (second,) = await accept(world, keyed, "a")
    world.now_ms = NOW + 2 * SECOND
    report = await world.store.expire_payloads(world.now_ms, 100)
    assert report.canceled == 1
    await world.store.cancel_deleted(world.now_ms, 100)  # the tidying that makes up for whoever did not wake the lane
    assert await world.due() == [keyed]
    assert await claim_ids(world, keyed) == {second.id}


async def test_deliveries_to_a_deleted_endpoint_are_canceled_and_nothing_is_left(world, database, keyed):
    messages = await accept(world, keyed, "a", "a", "b", "a")
    assert await world.store.delete_endpoint(world.scope, keyed, NOW)
    await world.store.cancel_deleted(NOW, 100)
    await world.store.cancel_deleted(NOW, 100)
    for one in messages:
        (view,) = await world.store.deliveries_of_message(world.scope, one.id, NOW)
        assert view.state is DeliveryState.CANCELED
    if isinstance(world.store, PostgresStore):
        assert await database.count("freed_keys") == 0


async def test_a_paused_endpoint_goes_on_where_it_was(world):
    target = await world.endpoint(ordered=True, extras=Extras(order_key="key"))
    a1, a2 = await accept(world, target.id, "a", "a")
    await claim(world, target.id)
    await world.set_status(target, EndpointStatus.PAUSED)
    await succeed(world, target.id, a1)
    assert await world.due() == []
    world.now_ms += 1
    await world.set_status(target, EndpointStatus.ENABLED)
    assert await world.due(now_ms=NOW + SECOND) == [target.id]
    assert await claim_ids(world, target.id) == {a2.id}


async def test_what_is_left_of_one_order_for_all_comes_one_at_a_time(world):
    target = await world.endpoint(ordered=True)
    first, second = await world.accept_ordered(target.id, count=2)
    keyed = await accept(world, target.id, "a", "b")
    assert await claim_ids(world, target.id) == {first.id, *(one.id for one in keyed)}
    assert await claim_ids(world, target.id) == set()
    await succeed(world, target.id, first)
    assert await claim_ids(world, target.id) == {second.id}


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
async def test_a_message_that_comes_while_the_first_of_its_key_ends_is_not_forgotten(database, world, keyed):
    """The one that ends is not gone yet, the one that comes is not there yet: neither sees the other."""
    for _ in range(30):
        (first,) = await accept(world, keyed, "a")
        assert await claim_ids(world, keyed) == {first.id}
        _, (second,) = await asyncio.gather(succeed(world, keyed, first), accept(world, keyed, "a"))
        assert await world.due() == [keyed]
        assert await claim_ids(world, keyed) == {second.id}
        await succeed(world, keyed, second)
    assert await database.count("pending") == 0


async def test_ten_thousand_behind_one_first_do_not_slow_the_others_down(world, keyed):
    """A claim looks at what it takes, not at what waits."""
    await accept(world, keyed, *["blocked"] * 10_000)
    assert len(await claim(world, keyed)) == 1
    others = await accept(world, keyed, *[str(number) for number in range(50)])
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert await claim_ids(world, keyed) == {one.id for one in others}
    assert loop.time() - began_s < 1.0
