"""`commit`, step 6: the attempt's row, and what becomes of the delivery's row in `pending`, case by case."""

from __future__ import annotations

import pytest

from hookline.model import AttemptStatus, Kind
from hookline.store import Outcome, Spill
from support.store import NOW, World, attempt, failure, key

LATER = NOW + 500
ROW = "SELECT kind, attempts, rescues, due_at_ms, lease_node, lease_epoch FROM hookline_pending"


async def rows(database) -> list[tuple]:
    return await database.fetch(ROW + " ORDER BY kind")


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


async def leased_row(world: World, target: str, *, node=None, kind: Kind = Kind.SCHEDULED):
    """Make a delivery whose one row is leased."""
    if kind is Kind.SCHEDULED:
        (sent,) = await world.free(target)
    else:
        (sent,) = await world.accept(target)
        await world.record(Outcome(failure(sent, target, final=True)))
        await world.store.request_resend(world.scope, sent.id, target, NOW)
    assert len(await world.lease(target, node=node)) == 1
    return sent


async def test_attempts_come_back_as_they_went_in(world, target):
    (sent,) = await world.accept(target)
    full = failure(
        sent,
        target,
        number=2,
        detail="line one\nline two",
        response_status=503,
        response_body=bytes(range(256)),
        duration_ms=15_000,
        next_attempt_at_ms=LATER,
    )
    bare = attempt(sent, target, response_body=b"")
    canceled = attempt(sent, target, status=AttemptStatus.CANCELED, reason="endpoint_deleted", response_status=0)
    await world.record(Outcome(full, retry_at_ms=LATER), Outcome(bare), Outcome(canceled))
    for one in (full, bare, canceled):
        assert await world.store.get_attempt(world.scope, sent.id, one.id) == one


async def test_success_born_leased_writes_its_attempt_alone(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(attempt(sent, target)))
    assert await database.count("attempts") == 1
    assert await database.count("pending") == await database.count("lanes") == 0


async def test_success_with_a_row_removes_it(world, database, target):
    sent = await leased_row(world, target)
    await world.record(Outcome(attempt(sent, target), has_row=True))
    assert await rows(database) == []


async def test_success_removes_the_row_whoever_leases_it(world, database, target):
    other = await world.store.register_node("node_other", 60.0)
    sent = await leased_row(world, target, node=other)
    await world.record(Outcome(attempt(sent, target), has_row=True))
    assert await rows(database) == []


async def test_late_success_settles(world, database, target):
    """The rescuer has put it into `pending`, somebody leases it: it is delivered all the same."""
    (sent,) = await world.free(target)
    await world.record(Outcome(attempt(sent, target), late=True))
    assert await rows(database) == []
    (found,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert found.state == "succeeded"


async def test_success_touches_no_other_delivery(world, database, target):
    other = (await world.endpoint()).id
    first, second = await world.free(target, count=2)
    await world.write(spills=[Spill(key(first, other), world.app.id, NOW)])
    await world.lease(target)
    await world.record(Outcome(attempt(first, target), has_row=True))
    left = await database.fetch("SELECT message_id, endpoint_id FROM hookline_pending")
    assert set(left) == {(second.id, target), (first.id, other)}


async def test_late_failure_is_written_as_not_final_and_moves_nothing(world, database, target):
    (sent,) = await world.free(target)
    before = await rows(database)
    late = failure(sent, target, final=True)
    await world.record(Outcome(late, late=True))
    assert await rows(database) == before
    found = await world.store.get_attempt(world.scope, sent.id, late.id)
    assert found.final is False
    assert found.status is AttemptStatus.FAILED


async def test_late_failure_with_a_retry_moves_nothing_either(world, database, target):
    sent = await leased_row(world, target)
    before = await rows(database)
    await world.record(Outcome(failure(sent, target), retry_at_ms=LATER, has_row=True, late=True))
    assert await rows(database) == before


async def test_retry_without_a_row_makes_a_free_one(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=1), retry_at_ms=LATER))
    assert await rows(database) == [("scheduled", 1, 0, LATER, None, None)]
    assert await world.due() == []
    assert await world.due(now_ms=LATER) == [target]


async def test_retry_without_a_row_takes_over_our_own(world, database, target):
    """It became a straggler while its outcome was on its way."""
    (sent,) = await world.accept(target)
    await world.write(spills=[Spill(key(sent, target), world.app.id, NOW, leased=True)])
    await database.fetch("UPDATE hookline_pending SET rescues = 2")
    await world.record(Outcome(failure(sent, target, number=4), retry_at_ms=LATER))
    assert await rows(database) == [("scheduled", 4, 0, LATER, None, None)]


@pytest.mark.parametrize("leased", [True, False])
async def test_retry_without_a_row_leaves_a_row_that_is_not_ours(world, database, target, leased):
    (sent,) = await world.free(target)
    if leased:
        other = await world.store.register_node("node_other", 60.0)
        await world.lease(target, node=other)
    before = await rows(database)
    await world.record(Outcome(failure(sent, target, number=4), retry_at_ms=LATER))
    assert await rows(database) == before


async def test_retry_with_a_row_frees_it(world, database, target):
    sent = await leased_row(world, target)
    await database.fetch("UPDATE hookline_pending SET rescues = 2")
    await world.record(Outcome(failure(sent, target, number=5), retry_at_ms=LATER, has_row=True))
    assert await rows(database) == [("scheduled", 5, 0, LATER, None, None)]
    assert await world.due(now_ms=LATER) == [target]


async def test_retry_with_a_row_leaves_it_when_another_leases_it(world, database, target):
    other = await world.store.register_node("node_other", 60.0)
    sent = await leased_row(world, target, node=other)
    before = await rows(database)
    await world.record(Outcome(failure(sent, target, number=5), retry_at_ms=LATER, has_row=True))
    assert await rows(database) == before


async def test_retry_with_a_row_does_not_bring_it_back(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target), retry_at_ms=LATER, has_row=True))
    assert await rows(database) == []


async def test_an_older_epoch_of_ours_is_somebody_else(world, database, target):
    sent = await leased_row(world, target)
    old = world.node
    world.node = await world.store.register_node(old.node_id, 60.0)
    before = await rows(database)
    assert before[0][5] == old.epoch
    await world.record(Outcome(failure(sent, target), retry_at_ms=LATER, has_row=True))
    await world.record(Outcome(failure(sent, target), retry_at_ms=LATER))
    await world.record(Outcome(failure(sent, target, final=True), has_row=True))
    await world.write(releases=[key(sent, target)])
    assert await rows(database) == before


async def test_final_failure_removes_our_row(world, database, target):
    sent = await leased_row(world, target)
    await world.record(Outcome(failure(sent, target, final=True), has_row=True))
    assert await rows(database) == []


async def test_final_cancel_removes_a_free_row(world, database, target):
    (sent,) = await world.free(target)
    canceled = attempt(sent, target, status=AttemptStatus.CANCELED, reason="endpoint_deleted")
    await world.record(Outcome(canceled, has_row=True))
    assert await rows(database) == []


async def test_final_failure_leaves_another_nodes_row(world, database, target):
    other = await world.store.register_node("node_other", 60.0)
    sent = await leased_row(world, target, node=other)
    await world.record(Outcome(failure(sent, target, final=True), has_row=True))
    assert len(await rows(database)) == 1


async def test_final_failure_born_leased_needs_no_row(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, final=True)))
    assert await rows(database) == []
    (found,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert found.state == "exhausted"


async def test_manual_success_settles_the_schedule_too(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target), retry_at_ms=NOW))
    await world.store.request_resend(world.scope, sent.id, target, NOW)
    assert len(await world.lease(target)) == 2
    await world.record(Outcome(attempt(sent, target, kind=Kind.MANUAL, number=-1), has_row=True))
    assert await rows(database) == []


async def test_manual_failure_moves_nothing_of_the_schedule(world, database, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, number=2), retry_at_ms=LATER))
    before = await rows(database)
    await world.store.request_resend(world.scope, sent.id, target, NOW)
    assert [one.kind for one in await world.lease(target)] == [Kind.MANUAL]
    await world.record(Outcome(failure(sent, target, kind=Kind.MANUAL, number=-1, final=True), has_row=True))
    assert await rows(database) == before


async def test_scheduled_success_leaves_a_manual_row(world, database, target):
    (sent,) = await world.accept(target)
    await world.store.request_resend(world.scope, sent.id, target, NOW)
    await world.record(Outcome(attempt(sent, target)))
    assert [row[0] for row in await rows(database)] == ["manual"]


async def test_many_outcomes_of_all_kinds_at_once(world, database, target):
    rowed = await world.free(target, count=20)
    await world.lease(target)
    plain = await world.accept(target, count=20)
    outcomes = []
    for index, sent in enumerate(rowed + plain):
        has_row = index < 20
        if index % 3 == 0:
            outcomes.append(Outcome(attempt(sent, target), has_row=has_row))
        elif index % 3 == 1:
            outcomes.append(Outcome(failure(sent, target, number=1), retry_at_ms=LATER + index, has_row=has_row))
        else:
            outcomes.append(Outcome(failure(sent, target, final=True), has_row=has_row))
    await world.record(*outcomes)
    assert await database.count("attempts") == 40
    retrying = [sent.id for index, sent in enumerate(rowed + plain) if index % 3 == 1]
    left = await database.fetch("SELECT message_id, due_at_ms FROM hookline_pending ORDER BY due_at_ms")
    assert [row[0] for row in left] == retrying
    assert await database.count("pending", "lease_node IS NOT NULL") == 0
    assert await world.store.next_due_at(NOW) == left[0][1]


async def test_an_ordered_lane_goes_on_when_its_head_is_settled(world, target):
    """Whoever had the lane may be gone by then: the lane itself must say that its next one is due."""
    ordered = (await world.endpoint(ordered=True)).id
    first, second, third = await world.accept_ordered(ordered, count=3)
    for sent, kinds in ((first, attempt), (second, failure)):
        (claimed,) = await world.lease(ordered, room=1, ordered=True)
        assert claimed.message.id == sent.id
        await world.record(Outcome(kinds(sent, ordered, final=True), has_row=True))
        assert await world.due() == [ordered]
    (claimed,) = await world.lease(ordered, room=1, ordered=True)
    assert claimed.message.id == third.id
