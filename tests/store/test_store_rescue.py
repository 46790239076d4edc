"""Rescue: dead nodes are fenced, what they owe becomes `pending` once, poison ends, whatever happens in between."""

from __future__ import annotations

import anyio
import pytest

from hookline.model import AttemptStatus, Kind
from hookline.model.ids import BATCH
from hookline.store import FencedError, NewMessage, NodeLease, Outcome, RescueReport, Spill
from support.store import NOW, World, attempt, failure, key, message, new_id


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


@pytest.fixture
async def dying(world: World) -> NodeLease:
    return await world.store.register_node("node_dying", 3600.0)


async def rescue(world: World, limit: int = 1000, **more) -> RescueReport:
    return await world.store.rescue(world.node, NOW, limit, **more)


async def test_a_living_node_is_left_alone(world, database, target, dying):
    await world.accept(target, node=dying)
    await world.free(target)
    await world.lease(target, node=dying)
    assert await rescue(world) == RescueReport()
    assert await database.count("batches") == 1
    assert await database.value("SELECT lease_node FROM hookline_pending") == "node_dying"
    await world.accept(target, node=dying)


async def test_a_dead_node_is_fenced(world, target, dying):
    await world.die(dying)
    assert (await rescue(world)).nodes == 1
    with pytest.raises(FencedError):
        await world.accept(target, node=dying)
    with pytest.raises(FencedError):
        await world.lease(target, node=dying)
    with pytest.raises(FencedError):
        await world.store.rescue(dying, NOW, 10)
    assert await world.store.renew_lease(dying, 3600.0) is False
    again = await world.store.register_node("node_dying", 3600.0)
    assert again.epoch > dying.epoch
    await world.accept(target, node=again)


async def test_a_fenced_node_is_fenced_once(world, dying):
    await world.die(dying)
    assert (await rescue(world)).nodes == 1
    assert await rescue(world) == RescueReport()


async def test_a_dead_nodes_batch_becomes_rows(world, database, target, dying):
    other = (await world.endpoint()).id
    messages = await world.accept(target, other, node=dying, count=2)
    await world.die(dying)
    report = await rescue(world)
    assert (report.batches, report.deliveries, report.poisoned, report.more) == (1, 4, 0, False)
    rows = await database.fetch(
        "SELECT message_id, endpoint_id, kind, app_id, rescues, due_at_ms, lease_node, sequence FROM hookline_pending"
    )
    assert set(rows) == {
        (sent.id, name, "scheduled", world.app.id, 1, NOW, None, None) for sent in messages for name in (target, other)
    }
    assert await database.count("batches") == 0
    assert set(await world.due()) == {target, other}
    assert {one.rescues for one in await world.lease(target)} == {1}


async def test_what_is_settled_is_not_owed(world, database, target, dying):
    """Succeeded, exhausted and canceled ones have their final attempt; only the fourth is owed."""
    succeeded, exhausted, canceled, owed = await world.accept(target, node=dying, count=4)
    await world.record(
        Outcome(attempt(succeeded, target)),
        Outcome(failure(exhausted, target, final=True)),
        Outcome(attempt(canceled, target, status=AttemptStatus.CANCELED, reason="endpoint_deleted")),
        node=dying,
    )
    await world.die(dying)
    assert (await rescue(world)).deliveries == 1
    assert await database.fetch("SELECT message_id FROM hookline_pending") == [(owed.id,)]


async def test_a_row_that_is_there_stays_as_it_is(world, database, target, dying):
    retrying, free = await world.accept(target, node=dying, count=2)
    await world.record(Outcome(failure(retrying, target, number=4), retry_at_ms=NOW + 99), node=dying)
    await world.write(dying, spills=[Spill(key(free, target), world.app.id, NOW + 50)])
    before = await database.fetch("SELECT * FROM hookline_pending ORDER BY message_id")
    await world.die(dying)
    report = await rescue(world)
    assert (report.batches, report.deliveries) == (1, 0)
    assert await database.fetch("SELECT * FROM hookline_pending ORDER BY message_id") == before


async def test_a_failure_that_is_not_final_leaves_it_owed(world, database, target, dying):
    """Recorded late, so without a retry: somebody still owes it."""
    (sent,) = await world.accept(target, node=dying)
    await world.record(Outcome(failure(sent, target, final=True), late=True))
    await world.die(dying)
    assert (await rescue(world)).deliveries == 1
    assert await database.count("pending") == 1


async def test_a_manual_failure_settles_nothing_and_a_manual_success_does(world, database, target, dying):
    failed, succeeded = await world.accept(target, node=dying, count=2)
    manual = {"kind": Kind.MANUAL, "number": -1}
    await world.record(
        Outcome(failure(failed, target, final=True, **manual)), Outcome(attempt(succeeded, target, **manual))
    )
    await world.die(dying)
    assert (await rescue(world)).deliveries == 1
    assert await database.fetch("SELECT message_id FROM hookline_pending") == [(failed.id,)]


async def test_targets_are_those_of_the_promise(world, database, target, dying):
    """An endpoint that was added later is owed nothing; one of a great fanout is owed as any other."""
    names = (target, *(f"ep_{number:04d}" for number in range(79)))
    (sent,) = await world.accept(*names, node=dying)
    await world.endpoint()
    await world.die(dying)
    assert (await rescue(world)).deliveries == 80
    rows = await database.fetch("SELECT message_id, endpoint_id FROM hookline_pending")
    assert set(rows) == {(sent.id, name) for name in names}


async def test_ordered_targets_are_owed_once(world, database, dying):
    plain, ordered = (await world.endpoint()).id, (await world.endpoint(ordered=True)).id
    both = message(world.app.id, plain, ordered)
    await world.write(dying, messages=[NewMessage(both, ordered=(ordered,))], batch_id=new_id(BATCH))
    await world.lease(ordered, node=dying, ordered=True)
    await world.record(Outcome(attempt(both, ordered), has_row=True), node=dying)
    await world.die(dying)
    assert (await rescue(world)).deliveries == 1
    assert await database.fetch("SELECT endpoint_id FROM hookline_pending") == [(plain,)]


async def test_an_older_epoch_is_dead_even_if_its_node_lives(world, database, target, dying):
    await world.accept(target, node=dying)
    await world.free(target)
    await world.lease(target, node=dying)
    await world.store.register_node("node_dying", 3600.0)
    assert (await rescue(world)).deliveries == 2
    assert await database.count("pending", "lease_node IS NULL") == 2


async def test_a_node_without_a_row_is_dead(world, database, target, dying):
    await world.accept(target, node=dying)
    await database.fetch("DELETE FROM hookline_nodes WHERE id = 'node_dying'")
    assert (await rescue(world)).deliveries == 1


async def test_tombstones_are_no_batches(world, database):
    await world.store.resolve_batch(new_id(BATCH))
    assert await rescue(world) == RescueReport()
    assert await database.count("batches") == 1


async def test_leases_of_the_dead_become_free_and_due(world, database, target, dying):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=2), retry_at_ms=NOW - 500))
    await world.lease(target, node=dying)
    await world.die(dying)
    report = await rescue(world)
    assert (report.deliveries, report.poisoned) == (1, 0)
    assert await database.fetch(
        "SELECT attempts, rescues, due_at_ms, lease_node, lease_epoch FROM hookline_pending"
    ) == [(2, 1, NOW, None, None)]
    assert await world.due() == [target]


async def test_stragglers_of_the_dead_become_free(world, target, dying):
    (sent,) = await world.accept(target, node=dying)
    await world.write(dying, spills=[Spill(key(sent, target), world.app.id, NOW, leased=True)])
    await world.die(dying)
    assert (await rescue(world)).deliveries == 1
    (claimed,) = await world.lease(target)
    assert (claimed.message, claimed.rescues) == (sent, 1)


async def kill(world: World, target: str, number: int, **more) -> RescueReport:
    victim = await world.store.register_node(f"node_victim_{number}", 3600.0)
    assert len(await world.lease(target, node=victim)) == 1
    await world.die(victim)
    return await rescue(world, **more)


async def test_after_three_rescues_it_is_poison(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=2), retry_at_ms=NOW))
    for number in range(3):
        report = await kill(world, target, number)
        assert (report.deliveries, report.poisoned) == (1, 0)
    report = await kill(world, target, 3)
    assert (report.deliveries, report.poisoned) == (0, 1)
    assert await database.count("pending") == 0
    assert await database.fetch(
        "SELECT app_id, message_id, endpoint_id, kind, status, final = (1 = 1), reason, created_at_ms "
        "FROM hookline_attempts WHERE reason = 'poison'"
    ) == [(world.app.id, sent.id, target, "scheduled", 2, True, "poison", NOW)]
    (found,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert found.state == "exhausted"
    assert await rescue(world) == RescueReport()


async def test_poison_after_is_the_callers_choice(world, target):
    await world.free(target)
    assert (await kill(world, target, 0, poison_after=1)).poisoned == 0
    assert (await kill(world, target, 1, poison_after=1)).poisoned == 1


async def test_an_attempt_forgives_the_rescues(world, target):
    (sent,) = await world.free(target)
    for number in range(3):
        await kill(world, target, number)
    await world.lease(target)
    await world.record(Outcome(failure(sent, target), retry_at_ms=NOW, has_row=True))
    report = await kill(world, target, 9)
    assert (report.deliveries, report.poisoned) == (1, 0)


async def test_poison_at_the_head_lets_the_next_one_go(world):
    ordered = (await world.endpoint(ordered=True)).id
    _, second = await world.accept_ordered(ordered, count=2)
    victim = await world.store.register_node("node_victim", 3600.0)
    await world.lease(ordered, node=victim, room=1, ordered=True)
    await world.die(victim)
    assert (await rescue(world, poison_after=0)).poisoned == 1
    assert await world.due() == [ordered]
    assert [one.message for one in await world.lease(ordered, ordered=True)] == [second]


async def test_rescue_goes_in_bounded_steps(world, database, target, dying):
    for _ in range(5):
        await world.accept(target, node=dying)
    await world.free(target, count=5)
    await world.lease(target, node=dying)
    await world.die(dying)
    reports = []
    while not reports or reports[-1].more:
        reports.append(await rescue(world, limit=2))
        assert len(reports) < 20
    assert len(reports) > 3
    assert sum(report.deliveries for report in reports) == 10
    assert all(report.deliveries <= 2 for report in reports)
    assert await database.count("pending", "lease_node IS NULL AND rescues = 1") == 10


async def test_a_second_rescue_finds_nothing(world, database, target, dying):
    await world.accept(target, node=dying, count=3)
    await world.free(target)
    await world.lease(target, node=dying)
    await world.die(dying)
    await rescue(world)
    before = await database.fetch("SELECT * FROM hookline_pending ORDER BY message_id")
    assert await rescue(world) == RescueReport()
    assert await database.fetch("SELECT * FROM hookline_pending ORDER BY message_id") == before


async def test_two_rescuers_owe_everything_once(world, database, target, dying):
    second = await world.store.register_node("node_second", 3600.0)
    for _ in range(10):
        await world.accept(target, node=dying, count=2)
    await world.free(target, count=20)
    await world.lease(target, node=dying)
    await world.die(dying)
    reports: list[RescueReport] = []

    async def run(node: NodeLease) -> None:
        more = True
        while more:
            report = await world.store.rescue(node, NOW, 3)
            reports.append(report)
            more = report.more

    async with anyio.create_task_group() as group:
        group.start_soon(run, world.node)
        group.start_soon(run, second)
    while (report := await rescue(world)) != RescueReport():  # whatever one left to the other
        reports.append(report)
    assert sum(report.deliveries for report in reports) == 40
    assert sum(report.nodes for report in reports) == 1
    assert await database.count("pending", "lease_node IS NULL AND rescues = 1") == 40
    assert await database.count("batches") == 0


async def test_a_node_that_returns_records_late_and_nothing_is_lost(world, database, target, dying):
    succeeded, failed = await world.accept(target, node=dying, count=2)
    await world.die(dying)
    await rescue(world)
    back = await world.store.register_node("node_dying", 3600.0)
    await world.record(
        Outcome(attempt(succeeded, target), late=True),
        Outcome(failure(failed, target, final=True), late=True),
        node=back,
    )
    assert await database.fetch("SELECT message_id FROM hookline_pending") == [(failed.id,)]


# --- our own batches


async def test_own_batches_are_those_of_node_and_epoch_written_before(world, target, dying):
    await world.accept(target, node=dying)
    batch_id = new_id(BATCH)
    await world.write(messages=[NewMessage(message(world.app.id, target))], batch_id=batch_id)
    assert await world.store.own_batches(world.node, NOW) == []
    assert await world.store.own_batches(world.node, NOW + 1) == [batch_id]
    again = await world.store.register_node(world.node.node_id, 60.0)
    assert await world.store.own_batches(again, NOW + 1) == []


async def test_adopting_owes_without_counting_a_rescue(world, database, target):
    batch_id = new_id(BATCH)
    sent, done = message(world.app.id, target), message(world.app.id, target)
    await world.write(messages=[NewMessage(sent), NewMessage(done)], batch_id=batch_id)
    await world.record(Outcome(attempt(done, target)))
    assert await world.store.adopt_batches(world.node, [batch_id, new_id(BATCH)], NOW) == 1
    assert await database.fetch("SELECT message_id, rescues, due_at_ms, lease_node FROM hookline_pending") == [
        (sent.id, 0, NOW, None)
    ]
    assert await database.count("batches") == 0
    assert await world.due() == [target]
    assert await world.store.adopt_batches(world.node, [batch_id], NOW) == 0


async def test_nobody_adopts_anothers_batch(world, database, target, dying):
    batch_id = new_id(BATCH)
    await world.write(dying, messages=[NewMessage(message(world.app.id, target))], batch_id=batch_id)
    assert await world.store.adopt_batches(world.node, [batch_id], NOW) == 0
    assert await database.count("batches") == 1
    assert await database.count("pending") == 0
