"""`commit` but for outcomes: fence, routing, outbox, keys, messages, order, spills, lanes, disables, batches."""

from __future__ import annotations

import msgspec
import pytest

from hookline.model import EndpointStatus, Kind
from hookline.model.ids import BATCH
from hookline.store import (
    Disable,
    FencedError,
    LaneHealth,
    MessageKey,
    NewMessage,
    NodeLease,
    Outcome,
    Spill,
    StaleRoutingError,
    StoreError,
)
from support.store import HOUR, NOW, ORG, SECOND, World, application, attempt, failure, key, message, new_id

# --- 0. the fence


async def test_fence_stops_an_old_epoch(world, database):
    old = world.node
    world.node = await world.store.register_node(old.node_id, 60.0)
    target = (await world.endpoint()).id
    with pytest.raises(FencedError):
        await world.accept(target, node=old)
    with pytest.raises(FencedError):
        await world.record(Outcome(attempt(message(world.app.id, target), target)), node=old)
    assert await database.count("messages") == await database.count("attempts") == 0


async def test_fence_stops_a_node_that_never_was(world, database):
    with pytest.raises(FencedError):
        await world.accept((await world.endpoint()).id, node=NodeLease("node_stranger", 1))
    assert await database.count("batches") == 0


async def test_a_lease_that_ended_unnoticed_still_writes(world, database):
    """Nobody has taken over, so nothing speaks against it: the epoch is the fence, not the time."""
    await world.die(world.node)
    await world.accept((await world.endpoint()).id)
    assert await database.count("messages") == 1


# --- 1. routing versions


async def test_stale_routing_names_the_applications_and_keeps_nothing(world, database):
    other = await world.store.create_application(application())
    target = await world.endpoint()
    version, _, _ = await world.store.load_routing(world.app.id)
    other_version, _, _ = await world.store.load_routing(other.id)
    await world.endpoint()
    with pytest.raises(StaleRoutingError) as caught:
        await world.write(
            messages=[
                NewMessage(message(world.app.id, target.id), keys=(MessageKey("event:1", b"f", NOW + SECOND),)),
                NewMessage(message(other.id)),
            ],
            routing={world.app.id: version, other.id: other_version},
            batch_id=new_id(BATCH),
            outcomes=[Outcome(attempt(message(world.app.id, target.id), target.id))],
        )
    assert caught.value.app_ids == {world.app.id}
    for table in ("messages", "message_keys", "batches", "attempts"):
        assert await database.count(table) == 0


async def test_current_routing_passes(world, database):
    target = await world.endpoint()
    version, _, _ = await world.store.load_routing(world.app.id)
    await world.write(
        messages=[NewMessage(message(world.app.id, target.id))],
        routing={world.app.id: version},
        batch_id=new_id(BATCH),
    )
    assert await database.count("messages") == 1


async def test_a_deleted_application_is_stale(world):
    version, _, _ = await world.store.load_routing(world.app.id)
    await world.store.delete_application(world.scope, NOW)
    with pytest.raises(StaleRoutingError):
        await world.write(messages=[NewMessage(message(world.app.id))], routing={world.app.id: version})


async def test_an_application_that_never_was_is_stale(world):
    with pytest.raises(StaleRoutingError):
        await world.write(messages=[NewMessage(message("app_none"))], routing={"app_none": 1})


# --- 2. the outbox


async def outbox_row(database, world, **changes) -> int:
    values = {"event_id": "NULL", "channels": "NULL"} | changes
    rows = await database.fetch(
        "INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id, channels) "
        f"VALUES ('{ORG}', '{world.app.id}', 'order.created', '{{}}', {values['event_id']}, {values['channels']}) "
        "RETURNING id"
    )
    return rows[0][0]


async def test_outbox_rows_go_with_their_messages(world, database):
    first, second = await outbox_row(database, world), await outbox_row(database, world)
    result = await world.write(messages=[NewMessage(message(world.app.id), outbox_id=first)])
    assert result.taken == frozenset()
    assert not result.duplicates
    assert await database.fetch("SELECT id FROM hookline_outbox") == [(second,)]
    assert await database.count("messages") == 1


async def test_a_message_whose_row_is_gone_is_taken_and_not_kept(world, database):
    target = (await world.endpoint()).id
    row = await outbox_row(database, world)
    await database.fetch(f"DELETE FROM hookline_outbox WHERE id = {row}")
    gone = message(world.app.id, target)
    kept = message(world.app.id, target)
    result = await world.write(
        messages=[
            NewMessage(gone, keys=(MessageKey("event:1", b"f", NOW + SECOND),), outbox_id=row),
            NewMessage(kept),
        ],
        batch_id=new_id(BATCH),
    )
    assert result.taken == {0}
    assert await database.fetch("SELECT id FROM hookline_messages") == [(kept.id,)]
    assert await database.count("message_keys") == 0
    assert gone.id not in await database.value("SELECT members FROM hookline_batches")


async def test_an_outbox_row_comes_back_when_the_commit_fails(world, database):
    row = await outbox_row(database, world)
    with pytest.raises(StaleRoutingError):
        await world.write(messages=[NewMessage(message(world.app.id), outbox_id=row)], routing={world.app.id: -1})
    assert await database.count("outbox") == 1


# --- 3. keys


def named(world: World, *names: str, expires_at_ms: int = NOW + SECOND, fingerprint: bytes = b"f") -> NewMessage:
    keys = tuple(MessageKey(name, fingerprint, expires_at_ms) for name in names)
    return NewMessage(message(world.app.id), keys=keys)


async def test_the_first_message_keeps_the_key(world, database):
    first, second = named(world, "event:1", fingerprint=b"one"), named(world, "event:1", fingerprint=b"two")
    assert not (await world.write(messages=[first])).duplicates
    result = await world.write(messages=[second, named(world, "event:2")])
    assert set(result.duplicates) == {0}
    duplicate = result.duplicates[0]
    assert (duplicate.key, duplicate.message_id, duplicate.fingerprint) == ("event:1", first.message.id, b"one")
    assert await database.count("messages") == 2
    assert await database.count("messages", f"id = '{second.message.id}'") == 0


async def test_a_message_that_loses_one_key_keeps_none(world, database):
    await world.write(messages=[named(world, "idempotency:taken")])
    loser = named(world, "event:mine", "idempotency:taken")
    assert set((await world.write(messages=[loser])).duplicates) == {0}
    assert await database.count("message_keys", "key = 'event:mine'") == 0
    # So the name is free for another one.
    assert not (await world.write(messages=[named(world, "event:mine")])).duplicates


async def test_duplicates_within_one_commit(world, database):
    first, second = named(world, "event:1", fingerprint=b"one"), named(world, "event:1")
    result = await world.write(messages=[first, second])
    assert {index: found.message_id for index, found in result.duplicates.items()} == {1: first.message.id}
    assert result.duplicates[1].fingerprint == b"one"
    assert await database.fetch("SELECT id FROM hookline_messages") == [(first.message.id,)]


async def test_a_duplicate_does_not_take_its_other_key_from_a_neighbour(world, database):
    """Of one commit: the first loses to the database, so what it would have shared with the second is the second's."""
    await world.write(messages=[named(world, "event:old")])
    loser, heir = named(world, "event:new", "event:old"), named(world, "event:new")
    result = await world.write(messages=[loser, heir])
    assert set(result.duplicates) == {0}
    assert (
        await database.value("SELECT message_id FROM hookline_message_keys WHERE key = 'event:new'") == heir.message.id
    )


async def test_expired_keys_make_way(world, database):
    await world.write(messages=[named(world, "event:1", expires_at_ms=NOW)])
    again = named(world, "event:1", expires_at_ms=NOW + 10)
    assert not (await world.write(messages=[again])).duplicates
    assert await database.fetch("SELECT message_id, expires_at_ms FROM hookline_message_keys") == [
        (again.message.id, NOW + 10)
    ]


async def test_a_key_of_the_message_itself_is_no_duplicate(world, database):
    mine = named(world, "event:1")
    await database.fetch(
        "INSERT INTO hookline_message_keys (org_id, app_id, key, message_id, fingerprint, expires_at_ms) "
        f"VALUES ('{ORG}', '{world.app.id}', 'event:1', '{mine.message.id}', '', {NOW + SECOND})"
    )
    assert not (await world.write(messages=[mine])).duplicates
    assert await database.count("messages") == 1


async def test_keys_belong_to_their_application(world, database):
    other = await world.store.create_application(application())
    keys = (MessageKey("event:1", b"f", NOW + SECOND),)
    result = await world.write(
        messages=[NewMessage(message(world.app.id), keys=keys), NewMessage(message(other.id), keys=keys)]
    )
    assert not result.duplicates
    assert await database.count("messages") == 2


async def test_a_duplicate_costs_the_others_nothing(world, database):
    target = (await world.endpoint()).id
    await world.write(messages=[named(world, "event:1")])
    kept = [message(world.app.id, target) for _ in range(3)]
    lost = msgspec.structs.replace(named(world, "event:1"), message=message(world.app.id, target))
    result = await world.write(
        messages=[NewMessage(kept[0]), lost, NewMessage(kept[1]), NewMessage(kept[2])], batch_id=new_id(BATCH)
    )
    assert set(result.duplicates) == {1}
    members = await database.value("SELECT members FROM hookline_batches")
    assert members.split() == [f"{world.app.id}/{one.id}" for one in kept]


# --- 4. messages and their batch


async def test_messages_come_back_as_they_went_in(world):
    target = (await world.endpoint()).id
    full = message(
        world.app.id,
        target,
        payload=b'{"x": "\xc3\xa4\\u0000"}\x00',
        event_id="evt-1",
        channels=("a", "b"),
        note="why",
        payload_expires_at_ms=NOW + 5,
        tags=("blue", "très"),
        deliver_at_ms=NOW + 6,
    )
    bare = message(world.app.id, note="no endpoint takes this type")
    await world.write(messages=[NewMessage(full), NewMessage(bare)], batch_id=new_id(BATCH))
    assert await world.store.get_message(world.scope, full.id) == full
    assert await world.store.get_message(world.scope, bare.id) == bare


@pytest.mark.parametrize(("targets", "fanouts"), [(64, 0), (65, 1), (300, 1)])
async def test_many_targets_stand_once_in_fanouts(world, database, targets, fanouts):
    names = tuple(f"ep_{number:04d}" for number in range(targets))
    messages = await world.accept(*names, count=3)
    await world.accept(*names)
    assert await database.count("fanouts") == fanouts
    for one in messages:
        assert (await world.store.get_message(world.scope, one.id)).targets == names
    assert (await database.count("messages", "targets LIKE '#%'") == 4) == bool(fanouts)


async def test_the_batch_names_node_epoch_and_who_is_owed(world, database):
    target = (await world.endpoint()).id
    batch_id = new_id(BATCH)
    owed, unowed = message(world.app.id, target), message(world.app.id)
    await world.write(messages=[NewMessage(unowed), NewMessage(owed)], batch_id=batch_id)
    assert await database.fetch("SELECT id, node_id, epoch, members, created_at_ms FROM hookline_batches") == [
        (batch_id, world.node.node_id, world.node.epoch, f"{world.app.id}/{owed.id}", NOW)
    ]


async def test_no_batch_when_nobody_is_owed(world, database):
    ordered = (await world.endpoint(ordered=True)).id
    await world.write(messages=[NewMessage(message(world.app.id))], batch_id=new_id(BATCH))
    await world.write(messages=[NewMessage(message(world.app.id, ordered), ordered=(ordered,))], batch_id=new_id(BATCH))
    assert await database.count("batches") == 0
    assert await database.count("messages") == 2


# --- 5. targets that wait in `pending`: of messages for later, and of ordered endpoints


@pytest.mark.parametrize("is_ordered", [False, True])
async def test_a_message_for_later_waits_in_pending(world, database, is_ordered):
    """It owes by its rows alone, is due at its time, and holds up nothing that is sent before."""
    target = (await world.endpoint(ordered=is_ordered)).id
    later = message(world.app.id, target, deliver_at_ms=NOW + HOUR)
    await world.write(messages=[NewMessage(later)], batch_id=new_id(BATCH))
    assert await database.count("batches") == 0
    assert await database.fetch(
        "SELECT message_id, endpoint_id, kind, app_id, attempts, due_at_ms, sequence, lease_node FROM hookline_pending"
    ) == [(later.id, target, "scheduled", world.app.id, 0, NOW + HOUR, None, None)]
    assert await world.due() == []
    (now,) = await (world.accept_ordered(target) if is_ordered else world.free(target))
    assert [one.message.id for one in await world.lease(target, ordered=is_ordered)] == [now.id]
    await world.record(Outcome(attempt(now, target), has_row=True))
    assert await world.lease(target, ordered=is_ordered) == []
    assert await world.store.next_due_at(NOW) == NOW + HOUR
    assert await world.due(now_ms=NOW + HOUR) == [target]
    world.now_ms = NOW + HOUR
    (claimed,) = await world.lease(target, ordered=is_ordered)
    assert claimed.message == later
    assert (claimed.attempts, claimed.sequence) == (0, None)


async def test_a_message_for_later_that_is_a_duplicate_owes_nothing(world, database):
    target = (await world.endpoint()).id
    await world.write(messages=[named(world, "event:1")])
    again = NewMessage(message(world.app.id, target, deliver_at_ms=NOW + HOUR), keys=named(world, "event:1").keys)
    result = await world.write(messages=[again], batch_id=new_id(BATCH))
    assert list(result.duplicates) == [0]
    assert await database.count("pending") == 0


async def test_a_message_for_later_beside_others(world, database):
    one, two = (await world.endpoint()).id, (await world.endpoint()).id
    later = message(world.app.id, one, two, deliver_at_ms=NOW + HOUR)
    now = message(world.app.id, one, two)
    await world.write(messages=[NewMessage(later), NewMessage(now)], batch_id=new_id(BATCH))
    assert await database.value("SELECT members FROM hookline_batches") == f"{world.app.id}/{now.id}"
    assert await database.count("pending", f"message_id = '{later.id}'") == 2
    assert await database.count("pending") == 2


async def test_ordered_targets_get_numbers_in_order(world, database):
    one, two = (await world.endpoint(ordered=True)).id, (await world.endpoint(ordered=True)).id
    first = await world.accept_ordered(one, count=2)
    second = await world.accept_ordered(one, two, count=2)
    rows = await database.fetch(
        "SELECT message_id, sequence, due_at_ms, lease_node, attempts, rescues, kind FROM hookline_pending "
        f"WHERE endpoint_id = '{one}' ORDER BY sequence"
    )
    assert [row[0] for row in rows] == [sent.id for sent in first + second]
    assert [row[1] for row in rows] == [1, 2, 3, 4]
    assert {row[2:] for row in rows} == {(NOW, None, 0, 0, "scheduled")}
    assert await database.value(f"SELECT max(sequence) FROM hookline_pending WHERE endpoint_id = '{two}'") == 2
    assert set(await world.due()) == {one, two}


async def test_ordered_and_unordered_targets_of_one_message(world, database):
    plain, ordered = (await world.endpoint()).id, (await world.endpoint(ordered=True)).id
    both = message(world.app.id, plain, ordered)
    await world.write(messages=[NewMessage(both, ordered=(ordered,))], batch_id=new_id(BATCH))
    assert await database.fetch("SELECT endpoint_id FROM hookline_pending") == [(ordered,)]
    assert await database.value("SELECT members FROM hookline_batches") == f"{world.app.id}/{both.id}"


async def test_numbers_of_a_failed_commit_are_given_again_or_skipped_but_never_shared(world, database):
    ordered = (await world.endpoint(ordered=True)).id
    lost = message(world.app.id, ordered)
    with pytest.raises(StaleRoutingError):
        await world.write(messages=[NewMessage(lost, ordered=(ordered,))], routing={world.app.id: -1})
    sent = await world.accept_ordered(ordered, count=2)
    rows = await database.fetch("SELECT message_id FROM hookline_pending ORDER BY sequence")
    assert [row[0] for row in rows] == [one.id for one in sent]


# --- 7. spills and releases


async def test_a_free_spill_is_due_and_a_leased_one_is_ours(world, database):
    target = (await world.endpoint()).id
    free, held = await world.accept(target, count=2)
    await world.write(
        spills=[
            Spill(key(free, target), world.app.id, NOW + 5),
            Spill(key(held, target), world.app.id, NOW, leased=True),
        ]
    )
    rows = await database.fetch(
        "SELECT message_id, attempts, rescues, due_at_ms, lease_node, lease_epoch, app_id FROM hookline_pending "
        "ORDER BY message_id"
    )
    assert rows == [
        (free.id, 0, 0, NOW + 5, None, None, world.app.id),
        (held.id, 0, 0, NOW, world.node.node_id, world.node.epoch, world.app.id),
    ]
    assert await world.due() == []
    assert await world.due(now_ms=NOW + 5) == [target]


async def test_a_spill_leaves_an_existing_row_as_it_is(world, database):
    target = (await world.endpoint()).id
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=3), retry_at_ms=NOW + 50))
    before = await database.fetch("SELECT * FROM hookline_pending")
    await world.write(spills=[Spill(key(sent, target), world.app.id, NOW, leased=True)])
    assert await database.fetch("SELECT * FROM hookline_pending") == before


async def test_a_release_frees_our_row_without_a_rescue(world, database):
    target = (await world.endpoint()).id
    (sent,) = await world.free(target)
    await world.lease(target)
    assert await world.due() == []
    await world.write(releases=[key(sent, target)])
    assert await database.fetch("SELECT lease_node, lease_epoch, rescues, due_at_ms FROM hookline_pending") == [
        (None, None, 0, NOW)
    ]
    assert await world.due() == [target]


async def test_a_released_straggler_is_found_again(world):
    """Its lane may never have had a row: the straggler's own was born leased."""
    target = (await world.endpoint()).id
    (sent,) = await world.accept(target)
    await world.write(spills=[Spill(key(sent, target), world.app.id, NOW, leased=True)])
    await world.write(releases=[key(sent, target)])
    assert await world.due() == [target]


async def test_a_release_does_not_touch_another_nodes_row(world, database):
    target = (await world.endpoint()).id
    (sent,) = await world.free(target)
    other = await world.store.register_node("node_other", 60.0)
    await world.lease(target, node=other)
    await world.write(releases=[key(sent, target)])
    assert await database.value("SELECT lease_node FROM hookline_pending") == "node_other"


# --- 8. lanes


async def test_next_due_becomes_the_earlier_of_the_two(world, database):
    target = (await world.endpoint()).id
    next_due = f"SELECT next_due_at_ms FROM hookline_lanes WHERE endpoint_id = '{target}'"
    await world.free(target, due_at_ms=NOW + 100)
    assert await database.value(next_due) == NOW + 100
    await world.free(target, due_at_ms=NOW + 300)
    assert await database.value(next_due) == NOW + 100
    await world.free(target, due_at_ms=NOW + 40)
    assert await database.value(next_due) == NOW + 40
    assert await world.store.next_due_at(NOW) == NOW + 40


async def test_health_is_kept_as_given(world):
    target = (await world.endpoint()).id
    health = LaneHealth(target, world.app.id, "open", NOW + 30, 7, NOW - 60)
    await world.write(lanes=[health])
    assert await world.store.lane_health([target]) == [health]
    closed = LaneHealth(target, world.app.id, "closed", 0, 0, None)
    await world.write(lanes=[closed])
    assert await world.store.lane_health([target]) == [closed]


async def test_health_leaves_what_is_due_alone(world):
    target = (await world.endpoint()).id
    await world.free(target)
    await world.write(lanes=[LaneHealth(target, world.app.id, "half_open", NOW, 1, NOW)])
    assert await world.due() == [target]


# --- 9. disables


async def test_a_disable_sets_status_reason_and_routing(world):
    target = await world.endpoint()
    before, _, _ = await world.store.load_routing(world.app.id)
    await world.write(disables=[Disable(world.app.id, target.id, "gone")])
    found = await world.store.get_endpoint(world.scope, target.id)
    assert (found.status, found.status_reason) == (EndpointStatus.DISABLED, "gone")
    after, endpoints, _ = await world.store.load_routing(world.app.id)
    assert after > before
    assert endpoints[0].status is EndpointStatus.DISABLED


async def test_only_the_first_disable_counts(world):
    """Many requests are in flight when an endpoint goes; each may answer that it is gone."""
    target = await world.endpoint()
    await world.write(disables=[Disable(world.app.id, target.id, "gone")])
    before, _, _ = await world.store.load_routing(world.app.id)
    await world.write(disables=[Disable(world.app.id, target.id, "disabled_by_receiver")])
    after, (found,), _ = await world.store.load_routing(world.app.id)
    assert after == before
    assert found.status_reason == "gone"


async def test_a_disable_needs_the_right_application(world):
    other = await world.store.create_application(application())
    target = await world.endpoint()
    await world.write(disables=[Disable(other.id, target.id, "gone")])
    assert (await world.store.get_endpoint(world.scope, target.id)).status is EndpointStatus.ENABLED


async def test_a_disable_and_its_outcome_share_the_transaction(world, database):
    target = (await world.endpoint()).id
    (sent,) = await world.accept(target)
    with pytest.raises(StaleRoutingError):
        await world.write(
            outcomes=[Outcome(failure(sent, target, final=True))],
            disables=[Disable(world.app.id, target, "gone")],
            routing={world.app.id: -1},
        )
    assert await database.count("attempts") == 0
    assert (await world.store.get_endpoint(world.scope, target)).status is EndpointStatus.ENABLED


# --- 10. batches


async def test_settled_batches_go(world, database):
    target = (await world.endpoint()).id
    first, second = new_id(BATCH), new_id(BATCH)
    for batch_id in (first, second):
        await world.write(messages=[NewMessage(message(world.app.id, target))], batch_id=batch_id)
    await world.write(settled_batches=[first])
    assert await database.fetch("SELECT id FROM hookline_batches") == [(second,)]


async def test_everything_in_one_transaction(world, database):
    """What a busy node writes: new messages, successes, a retry, a spill, and a batch that is done."""
    target = (await world.endpoint()).id
    done = new_id(BATCH)
    sent, failed, slow = (message(world.app.id, target) for _ in range(3))
    await world.write(messages=[NewMessage(one) for one in (sent, failed, slow)], batch_id=done)
    fresh = message(world.app.id, target)
    await world.write(
        messages=[NewMessage(fresh)],
        batch_id=new_id(BATCH),
        outcomes=[Outcome(attempt(sent, target)), Outcome(failure(failed, target), retry_at_ms=NOW + 5)],
        spills=[Spill(key(slow, target), world.app.id, NOW, leased=True)],
        settled_batches=[done],
    )
    assert await database.count("messages") == 4
    assert await database.count("attempts") == 2
    assert {row[0] for row in await database.fetch("SELECT message_id FROM hookline_pending")} == {failed.id, slow.id}
    assert await database.count("batches") == 1


# --- resolve_batch


async def test_a_committed_batch_resolves(world, database):
    batch_id = new_id(BATCH)
    await world.write(messages=[NewMessage(message(world.app.id, "ep_any"))], batch_id=batch_id)
    assert await world.store.resolve_batch(batch_id) is True
    assert await world.store.resolve_batch(batch_id) is True
    assert await database.count("batches", "node_id <> ''") == 1


async def test_a_batch_that_was_given_up_never_happens(world, database):
    batch_id = new_id(BATCH)
    assert await world.store.resolve_batch(batch_id) is False
    assert await world.store.resolve_batch(batch_id) is False
    with pytest.raises(StoreError):
        await world.write(messages=[NewMessage(message(world.app.id, "ep_any"))], batch_id=batch_id)
    assert await database.count("messages") == 0
    assert await world.store.resolve_batch(batch_id) is False


# --- what listeners hear


async def test_listeners_hear_of_order_disables_and_health(world):
    import anyio

    heard: set[tuple[str, str]] = set()
    changed = anyio.Event()

    def listen(kind: str, identifier: str) -> None:
        heard.add((kind, identifier))
        changed.set()

    world.store.subscribe(listen)
    ordered = (await world.endpoint(ordered=True)).id
    sick = (await world.endpoint()).id
    await world.accept_ordered(ordered)
    await world.write(lanes=[LaneHealth(sick, world.app.id, "open", NOW + 30, 7, NOW)])
    await world.write(disables=[Disable(world.app.id, sick, "gone")])
    await world.store.request_resend(world.scope, (await world.accept(sick))[0].id, sick, NOW)
    expected = {("routing", world.app.id), ("lane", ordered), ("lane", sick)}
    with anyio.fail_after(10):
        while not expected <= heard:
            changed = anyio.Event()
            await changed.wait()


async def test_kinds_are_kept_apart(world, database):
    """A manual delivery stands beside the schedule's own."""
    target = (await world.endpoint()).id
    (sent,) = await world.free(target)
    assert await world.store.request_resend(world.scope, sent.id, target, NOW)
    assert {row[0] for row in await database.fetch("SELECT kind FROM hookline_pending")} == {"scheduled", "manual"}
    claimed = await world.lease(target)
    assert {one.kind for one in claimed} == {Kind.SCHEDULED, Kind.MANUAL}
