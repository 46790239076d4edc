"""Weeks of messages and attempts: made ahead, dropped as a whole, and what is still owed carried forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from hookline.clock import ManualClock
from hookline.model import AttemptStatus
from hookline.model.ids import MESSAGE, id_at
from hookline.store import KeyRing, MessageFilter, Outcome, Page
from hookline.store.postgres import PostgresStore
from hookline.store.postgres.partitions import ATTEMPTS, MESSAGES, WEEK_MS, WEEKS_AHEAD, Week, list_weeks
from support.store import DAY, NOW, World, attempt, failure

THIS_WEEK = NOW // WEEK_MS
LATER = NOW + 120 * DAY


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    """Give a world in the weeks around NOW, each with a partition of its own."""
    store = PostgresStore(postgres_dsn, key_ring=KeyRing.generate(), clock=ManualClock(NOW))
    await store.migrate()
    await store.open(engine=True)
    yield await World(store).build()
    await store.close()


@pytest.fixture
async def admin(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def _place_of(admin: asyncpg.Connection, table: str, row_id: str) -> str | None:
    return await admin.fetchval(f"SELECT tableoid::regclass::text FROM {table} WHERE id = $1", row_id)


async def test_weeks_are_made_ahead_for_messages_and_attempts(world: World, admin: asyncpg.Connection) -> None:
    for table in (MESSAGES, ATTEMPTS):
        weeks = await list_weeks(world.store._reads, table)
        assert weeks >= set(range(THIS_WEEK, THIS_WEEK + WEEKS_AHEAD + 1))
    lane = (await world.endpoint()).id
    (one,) = await world.accept(lane)
    made = attempt(one, lane)
    await world.record(Outcome(made))
    assert await _place_of(admin, MESSAGES, one.id) == Week(MESSAGES, THIS_WEEK).name
    assert await _place_of(admin, ATTEMPTS, made.id) == Week(ATTEMPTS, THIS_WEEK).name


async def test_what_has_no_week_goes_to_the_default_partition(world: World, admin: asyncpg.Connection) -> None:
    lane = (await world.endpoint()).id
    (one,) = await world.accept(lane, at_ms=NOW - 50 * DAY)
    assert await _place_of(admin, MESSAGES, one.id) == "hookline_messages_rest"
    assert await world.store.get_message(world.scope, one.id) == one


async def test_an_old_week_is_dropped_and_counted(world: World) -> None:
    lane = (await world.endpoint()).id
    messages = await world.accept(lane, count=5)
    await world.record(*[Outcome(attempt(one, lane)) for one in messages])
    batches = await world.store.own_batches(world.node, NOW + 1)
    await world.write(settled_batches=batches)
    report = await world.store.prune(LATER - 90 * DAY, LATER, 100)
    assert (report.messages, report.attempts, report.more) == (5, 5, False)
    assert THIS_WEEK not in await list_weeks(world.store._reads, MESSAGES)
    assert THIS_WEEK not in await list_weeks(world.store._reads, ATTEMPTS)
    assert (await world.store.list_messages(world.scope, Page(), MessageFilter())).rows == []


async def test_a_week_that_is_not_over_stays(world: World) -> None:
    lane = (await world.endpoint()).id
    await world.accept(lane)
    before_ms = (THIS_WEEK + 1) * WEEK_MS - 1
    assert (await world.store.prune(before_ms, NOW, 100)).messages == 0
    assert THIS_WEEK in await list_weeks(world.store._reads, MESSAGES)


async def test_what_is_owed_is_carried_forward_with_its_attempts(world: World, admin: asyncpg.Connection) -> None:
    lane = (await world.endpoint()).id
    done, retrying = await world.accept(lane, count=2)
    (in_batch,) = await world.accept(lane)
    failed = failure(retrying, lane)
    await world.record(Outcome(attempt(done, lane)), Outcome(failed, retry_at_ms=LATER))
    batches = await world.store.own_batches(world.node, NOW + 1)
    await world.write(settled_batches=batches[:1])

    report = await world.store.prune(LATER - 90 * DAY, LATER, 100)
    assert (report.messages, report.attempts) == (1, 1)
    assert await world.store.get_message(world.scope, done.id) is None
    for owed in (retrying, in_batch):
        assert await world.store.get_message(world.scope, owed.id) == owed
        assert await _place_of(admin, MESSAGES, owed.id) == "hookline_messages_rest"
    attempts = await world.store.list_attempts_of_message(world.scope, retrying.id, Page(), MessageFilter())
    assert attempts.rows == [failed]

    # It is delivered late, and then goes like everything else.
    world.now_ms = LATER
    (claimed,) = await world.lease(lane)
    assert claimed.message == retrying
    success = attempt(retrying, lane, at_ms=LATER, number=2)
    await world.record(Outcome(success, has_row=True))
    await world.write(settled_batches=batches)
    again = await world.store.prune(LATER - 90 * DAY, LATER, 100)
    assert (again.messages, again.attempts) == (2, 1)
    assert await world.store.get_attempt(world.scope, retrying.id, success.id) == success


async def test_traffic_in_the_way_puts_it_off(world: World, admin: asyncpg.Connection) -> None:
    lane = (await world.endpoint()).id
    await world.write(settled_batches=[], messages=[])
    (one,) = await world.accept(lane)
    await world.record(Outcome(attempt(one, lane)))
    await world.write(settled_batches=await world.store.own_batches(world.node, NOW + 1))
    transaction = admin.transaction()
    await transaction.start()
    await admin.fetch("SELECT 1 FROM hookline_messages FOR KEY SHARE")
    async with asyncio.timeout(10):
        report = await world.store.prune(LATER - 90 * DAY, LATER, 100)
    assert report.messages == 0
    assert report.more
    await transaction.rollback()
    report = await world.store.prune(LATER - 90 * DAY, LATER, 100)
    assert (report.messages, report.more) == (1, False)


async def test_a_week_that_owes_too_much_is_thinned_out_row_by_row(
    world: World, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carrying a paused endpoint's backlog would keep everybody waiting; its week stays until it is delivered."""
    monkeypatch.setattr("hookline.store.postgres.partitions.MOST_CARRIED", 2)
    lane = (await world.endpoint()).id
    waiting = await world.free(lane, count=3)
    done = await world.accept(lane, count=5)
    await world.record(*[Outcome(attempt(one, lane)) for one in done])
    await world.record(*[Outcome(failure(one, lane), retry_at_ms=NOW, has_row=False) for one in waiting])
    await world.write(settled_batches=await world.store.own_batches(world.node, NOW + 1))
    reports = [await world.store.prune(LATER - 90 * DAY, LATER, 2)]
    while reports[-1].more:
        reports.append(await world.store.prune(LATER - 90 * DAY, LATER, 2))
    assert sum(report.messages for report in reports) == 5
    assert sum(report.attempts for report in reports) == 5
    assert max(report.messages for report in reports) <= 2
    for one in waiting:
        assert await _place_of(admin, MESSAGES, one.id) == Week(MESSAGES, THIS_WEEK).name
    world.now_ms = LATER
    claimed = await world.lease(lane)
    assert {one.message.id for one in claimed} == {one.id for one in waiting}
    await world.record(*[Outcome(attempt(one, lane, at_ms=LATER), has_row=True) for one in waiting])
    assert (await world.store.prune(LATER - 90 * DAY, LATER, 2)).messages == 3
    assert THIS_WEEK not in await list_weeks(world.store._reads, MESSAGES)


async def test_a_resend_under_way_keeps_its_week(world: World, admin: asyncpg.Connection) -> None:
    lane = (await world.endpoint()).id
    (one,) = await world.accept(lane)
    await world.record(Outcome(attempt(one, lane)))
    await world.write(settled_batches=await world.store.own_batches(world.node, NOW + 1))
    assert await world.store.request_resend(world.scope, one.id, lane, LATER)
    assert (await world.store.prune(LATER - 90 * DAY, LATER, 100)).messages == 0
    world.now_ms = LATER
    (claimed,) = await world.lease(lane)
    assert claimed.message == one


async def test_a_week_that_rows_stand_in_the_way_of_is_left_out(world: World) -> None:
    lane = (await world.endpoint()).id
    far = NOW + (WEEKS_AHEAD + 3) * 7 * DAY  # a node whose clock is ahead
    (one,) = await world.accept(lane, at_ms=far)
    await world.store.prune(NOW - 90 * DAY, far, 100)
    assert far // WEEK_MS not in await list_weeks(world.store._reads, MESSAGES)
    assert far // WEEK_MS + 1 in await list_weeks(world.store._reads, MESSAGES)
    assert await world.store.get_message(world.scope, one.id) == one


async def test_pages_go_across_weeks(world: World) -> None:
    lane = (await world.endpoint()).id
    written = [(await world.accept(lane, at_ms=NOW + days * DAY))[0] for days in (-40, -1, 0, 6, 7, 13, 20, 400)]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await world.store.list_messages(world.scope, Page(limit=3, after=after), MessageFilter())
        seen += [one.id for one in page.rows]
        if page.done:
            break
        after = page.last_seen
    assert seen == [one.id for one in reversed(written)]


async def test_weeks_begin_where_ids_do(world: World, admin: asyncpg.Connection) -> None:
    lane = (await world.endpoint()).id
    edge_ms = (THIS_WEEK + 1) * WEEK_MS
    (last,) = await world.accept(lane, at_ms=edge_ms - 1)
    (first,) = await world.accept(lane, at_ms=edge_ms)
    assert last.id < id_at(MESSAGE, edge_ms) <= first.id
    assert await _place_of(admin, MESSAGES, last.id) == Week(MESSAGES, THIS_WEEK).name
    assert await _place_of(admin, MESSAGES, first.id) == Week(MESSAGES, THIS_WEEK + 1).name


async def test_poison_and_cancellations_of_today_find_a_place(world: World) -> None:
    """Their ids are made by the store, at the real time, for which this database may have no week."""
    lane = await world.endpoint()
    await world.free(lane.id)
    await world.store.delete_endpoint(world.scope, lane.id, NOW)
    assert (await world.store.cancel_deleted(NOW, 10)).canceled == 1
    attempts = await world.store.list_attempts_of_endpoint(world.scope, lane.id, Page(), MessageFilter())
    assert [one.status for one in attempts.rows] == [AttemptStatus.CANCELED]
