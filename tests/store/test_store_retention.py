"""Ends by deletion and by time, and the Pruner: what goes, and that what is owed stays."""

from __future__ import annotations

import pytest

from hookline.model import AttemptStatus, OrganizationSettings
from hookline.model.ids import BATCH
from hookline.store import MessageKey, NewMessage, OrgScope, Outcome, PruneReport, Retention, Spill
from support.store import DAY, NOW, ORG, SECOND, World, application, attempt, endpoint, failure, key, message, new_id

OLD = NOW - 100 * DAY
BEFORE = NOW - 90 * DAY


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


# --- deleted endpoints


async def test_free_rows_of_deleted_endpoints_are_canceled(world, database, target):
    (sent,) = await world.free(target, due_at_ms=NOW + DAY)
    (other,) = await world.free((await world.endpoint()).id)
    await world.store.delete_endpoint(world.scope, target, NOW)
    report = await world.store.cancel_deleted(NOW + 5, 10)
    assert (report.canceled, report.more) == (1, False)
    assert await database.fetch("SELECT message_id FROM hookline_pending") == [(other.id,)]
    assert await database.fetch(
        "SELECT app_id, message_id, endpoint_id, kind, status, final = (1 = 1), reason, created_at_ms "
        "FROM hookline_attempts"
    ) == [(world.app.id, sent.id, target, "scheduled", 4, True, "endpoint_deleted", NOW + 5)]
    (found,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert found.state == "canceled"


async def test_leased_rows_of_deleted_endpoints_are_left_to_their_node(world, database, target):
    await world.free(target)
    await world.lease(target)
    await world.store.delete_endpoint(world.scope, target, NOW)
    assert (await world.store.cancel_deleted(NOW, 10)).canceled == 0
    assert await database.count("pending") == 1


async def test_rows_of_deleted_applications_are_not_canceled(world, database, target):
    """They are erased: nobody may read what became of them."""
    await world.free(target)
    await world.store.delete_application(world.scope, NOW)
    assert (await world.store.cancel_deleted(NOW, 10)).canceled == 0
    await world.store.erase_deleted(NOW, 10)
    assert await database.count("pending") == await database.count("attempts") == 0


async def test_ordered_and_manual_rows_are_canceled_too(world, database):
    ordered = (await world.endpoint(ordered=True)).id
    (sent,) = await world.accept_ordered(ordered)
    await world.store.request_resend(world.scope, sent.id, ordered, NOW)
    await world.store.delete_endpoint(world.scope, ordered, NOW)
    assert (await world.store.cancel_deleted(NOW, 10)).canceled == 2
    assert await database.count("pending") == 0


async def test_canceling_goes_in_bounded_steps(world, target):
    await world.free(target, count=5)
    await world.store.delete_endpoint(world.scope, target, NOW)
    reports = [await world.store.cancel_deleted(NOW, 2) for _ in range(3)]
    assert [report.canceled for report in reports] == [2, 2, 1]
    assert [report.more for report in reports] == [True, True, False]
    assert await world.store.cancel_deleted(NOW, 2) == PruneReport()


# --- expired payloads


async def test_payloads_expire_when_their_time_comes(world, database, target):
    (due,) = await world.accept(target, payload_expires_at_ms=NOW + 10)
    (later,) = await world.accept(target, payload_expires_at_ms=NOW + 11)
    (never,) = await world.accept(target)
    await world.record(*(Outcome(attempt(sent, target)) for sent in (due, later, never)))
    report = await world.store.expire_payloads(NOW + 10, 10)
    assert (report.payloads, report.canceled, report.more) == (1, 0, False)
    emptied = await world.store.get_message(world.scope, due.id)
    assert (emptied.payload, emptied.payload_expired) == (b"", True)
    assert await world.store.get_message(world.scope, later.id) == later
    assert await world.store.get_message(world.scope, never.id) == never
    assert await world.store.expire_payloads(NOW + 10, 10) == PruneReport()
    assert await database.count("attempts") == 3


async def test_what_an_expired_message_owes_is_canceled(world, database, target):
    """One target succeeded, one is waiting in `pending`, one is owed by a batch alone."""
    waiting, owed = (await world.endpoint()).id, (await world.endpoint()).id
    (sent,) = await world.accept(target, waiting, owed, payload_expires_at_ms=NOW + 10)
    await world.record(Outcome(attempt(sent, target)), Outcome(failure(sent, waiting), retry_at_ms=NOW + DAY))
    assert (await world.store.expire_payloads(NOW + 10, 10)).canceled == 2
    assert await database.count("pending") == 0
    canceled = await database.fetch(
        "SELECT endpoint_id FROM hookline_attempts WHERE status = 4 AND final = (1 = 1) AND reason = 'payload_expired'"
    )
    assert {row[0] for row in canceled} == {waiting, owed}
    views = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert [view.state for view in views] == ["succeeded", "canceled", "canceled"]
    dead = await world.store.register_node("node_dead", 60.0)
    await world.store.register_node(world.node.node_id, 60.0)
    assert (await world.store.rescue(dead, NOW, 100)).deliveries == 0


async def test_expiry_reaches_all_targets_of_a_great_fanout(world, database):
    names = tuple(f"ep_{number:04d}" for number in range(70))
    await world.accept(*names, payload_expires_at_ms=NOW)
    assert (await world.store.expire_payloads(NOW, 10)).canceled == 70
    assert await database.count("attempts", "status = 4") == 70


async def test_expiry_goes_in_bounded_steps(world):
    for _ in range(5):
        await world.accept("ep_any", payload_expires_at_ms=NOW)
    reports = [await world.store.expire_payloads(NOW, 2) for _ in range(3)]
    assert [report.payloads for report in reports] == [2, 2, 1]
    assert [report.more for report in reports] == [True, True, False]


# --- pruning


async def settled(world: World, target: str, at_ms: int, count: int = 1) -> list:
    """Make messages of that time, delivered then."""
    batch_id = new_id(BATCH, at_ms)
    messages = [message(world.app.id, target, at_ms=at_ms) for _ in range(count)]
    await world.write(messages=[NewMessage(one) for one in messages], batch_id=batch_id, now_ms=at_ms)
    outcomes = [Outcome(attempt(one, target, at_ms=at_ms)) for one in messages]
    await world.write(outcomes=outcomes, settled_batches=[batch_id], now_ms=at_ms)
    return messages


async def prune_all(world: World, *, before_ms: int = BEFORE, now_ms: int = NOW, limit: int = 100) -> list[PruneReport]:
    reports: list[PruneReport] = []
    while not reports or reports[-1].more:
        reports.append(await world.store.prune(before_ms, now_ms, limit))
        assert len(reports) < 50
    return reports


async def test_old_messages_and_attempts_go_and_young_ones_stay(world, database, target):
    await settled(world, target, OLD, 3)
    (young,) = await settled(world, target, NOW - DAY)
    reports = await prune_all(world)
    assert sum(report.messages for report in reports) == 3
    assert sum(report.attempts for report in reports) == 3
    assert await database.fetch("SELECT id FROM hookline_messages") == [(young.id,)]
    assert await database.fetch("SELECT message_id FROM hookline_attempts") == [(young.id,)]
    assert await world.store.prune(BEFORE, NOW, 100) == PruneReport()


async def test_the_edge_is_exclusive(world, database, target):
    await settled(world, target, BEFORE)
    await settled(world, target, BEFORE - 1)
    await prune_all(world)
    assert await database.fetch("SELECT created_at_ms FROM hookline_messages") == [(BEFORE,)]


async def test_what_is_owed_stays_with_its_attempts(world, database, target):
    pending, manual, batched = (message(world.app.id, target, at_ms=OLD) for _ in range(3))
    batch_id = new_id(BATCH)
    await world.write(messages=[NewMessage(one) for one in (pending, manual)], batch_id=batch_id, now_ms=OLD)
    await world.write(
        settled_batches=[batch_id],
        messages=[NewMessage(batched)],
        batch_id=new_id(BATCH),
        now_ms=OLD,
        outcomes=[
            Outcome(failure(pending, target, at_ms=OLD), retry_at_ms=NOW + DAY),
            Outcome(failure(manual, target, at_ms=OLD, final=True)),
            Outcome(failure(batched, target, at_ms=OLD), late=True),
        ],
    )
    await world.store.request_resend(world.scope, manual.id, target, NOW)
    reports = await prune_all(world)
    assert sum(report.messages + report.attempts for report in reports) == 0
    assert await database.count("messages") == 3
    assert await database.count("attempts") == 3
    # Once they have their end they go like any other.
    await world.write(settled_batches=[row[0] for row in await database.fetch("SELECT id FROM hookline_batches")])
    world.now_ms = NOW + DAY
    for claimed in await world.lease(target):
        ended = attempt(claimed.message, target, at_ms=OLD, kind=claimed.kind)
        await world.record(Outcome(ended, has_row=True))
    await prune_all(world)
    assert await database.count("messages") == await database.count("attempts") == 0


async def test_what_is_owed_does_not_hide_what_may_go(world, database, target):
    """More owed messages than the limit stand in front of the one that is settled."""
    for _ in range(4):
        await world.accept(target, at_ms=OLD)
    one = message(world.app.id, target, at_ms=OLD)
    await world.write(messages=[NewMessage(one)], batch_id=new_id(BATCH))
    await world.write(spills=[Spill(key(one, target), world.app.id, NOW)])
    await settled(world, target, OLD + SECOND)
    for _ in range(5):
        await world.store.prune(BEFORE, NOW, 2)
    assert await database.count("messages") == 5


async def test_pruning_goes_in_bounded_steps(world, database, target):
    await settled(world, target, OLD, 7)
    first = await world.store.prune(BEFORE, NOW, 3)
    assert first.messages <= 3
    assert first.more
    await prune_all(world, limit=3)
    assert await database.count("messages") == await database.count("attempts") == 0


async def test_an_organization_may_keep_less(world, database, target):
    """What is older than it wants goes row by row; what is owed stays, and so does what others have."""
    theirs = await world.store.create_application(application(org_id="org_two"))
    at = await world.store.create_endpoint(endpoint(theirs.id, org_id="org_two"))
    other = message(theirs.id, at.id, at_ms=NOW - 5 * DAY, org_id="org_two")
    batch_id = new_id(BATCH)
    await world.write(messages=[NewMessage(other)], batch_id=batch_id)
    await world.write(outcomes=[Outcome(attempt(other, at.id, at_ms=NOW - 5 * DAY))], settled_batches=[batch_id])
    await settled(world, target, NOW - 5 * DAY, 5)
    (young,) = await settled(world, target, NOW - DAY)
    (owed,) = await settled(world, target, NOW - 5 * DAY)
    await world.store.request_resend(world.scope, owed.id, target, NOW)
    reports = []
    while not reports or reports[-1].more:
        reports.append(await world.store.prune_organization(ORG, NOW - 2 * DAY, 2))
        assert len(reports) < 10
    assert [report.messages for report in reports] == [2, 2, 1]
    assert sum(report.attempts for report in reports) == 5
    kept = {young.id, owed.id, other.id}
    assert {row[0] for row in await database.fetch("SELECT id FROM hookline_messages")} == kept
    assert {row[0] for row in await database.fetch("SELECT message_id FROM hookline_attempts")} == kept


async def test_which_organizations_keep_less(world):
    store = world.store
    assert await store.list_retentions() == []
    for org_id, settings in (
        ("org_one", OrganizationSettings(retention_days=7)),
        ("org_two", OrganizationSettings(payload_retention_days=3)),
    ):
        read = await store.get_organization(OrgScope(org_id))
        await store.update_settings(OrgScope(org_id), settings, read_version=read.catalog_version)
    assert await store.list_retentions() == [Retention("org_one", 7)]


async def test_expired_keys_go(world, database):
    for name, expires in (("event:old", NOW), ("event:new", NOW + 1)):
        keys = (MessageKey(name, b"f", expires),)
        await world.write(messages=[NewMessage(message(world.app.id), keys=keys)], now_ms=NOW - DAY)
    reports = await prune_all(world)
    assert sum(report.keys for report in reports) == 1
    assert await database.fetch("SELECT key FROM hookline_message_keys") == [("event:new",)]


async def test_fanouts_go_with_their_messages(world, database, target):
    names = (target, *(f"ep_{number:04d}" for number in range(79)))
    old = message(world.app.id, *names, at_ms=OLD)
    batch_id = new_id(BATCH)
    await world.write(messages=[NewMessage(old)], batch_id=batch_id, now_ms=OLD)
    await prune_all(world)
    assert (await world.store.get_message(world.scope, old.id)).targets == names
    await world.write(settled_batches=[batch_id])
    await prune_all(world)
    assert await database.count("fanouts") == 0


async def test_nodes_that_are_dead_for_a_day_go(world, database):
    import time

    now_ms = time.time_ns() // 1_000_000  # leases run on the database's clock
    await world.store.register_node("node_long_gone", -25 * 3600.0)
    await world.store.register_node("node_gone", -3600.0)
    await prune_all(world, now_ms=now_ms)
    names = {row[0] for row in await database.fetch("SELECT id FROM hookline_nodes")}
    assert names == {world.node.node_id, "node_gone"}


async def test_nodes_go_after_their_rescue_too(world, database):
    import time

    now_ms = time.time_ns() // 1_000_000
    await world.store.register_node("node_long_gone", -25 * 3600.0)
    await world.store.rescue(world.node, NOW, 100)
    await prune_all(world, now_ms=now_ms)
    assert await database.count("nodes", "id = 'node_long_gone'") == 0


async def test_status_of_a_canceled_attempt(world, target):
    await world.free(target)
    await world.store.delete_endpoint(world.scope, target, NOW)
    await world.store.cancel_deleted(NOW, 10)
    from hookline.store import MessageFilter, Page

    found = await world.store.list_attempts_of_endpoint(world.scope, target, Page(), MessageFilter())
    assert [one.status for one in found.rows] == [AttemptStatus.CANCELED]
    assert found.rows[0].detail
