"""Several nodes on one PostgreSQL: claims, rescues and commits that meet, and the wake-ups between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from hookline.model.alerts import AlertKind, AlertRule, Measure
from hookline.model.ids import BATCH
from hookline.store import (
    FencedError,
    KeyRing,
    NewMessage,
    NodeLease,
    Outcome,
    RescueReport,
    StoreUnavailableError,
    Want,
)
from hookline.store.postgres import PostgresStore
from support.store import LEASE_S, NOW, World, attempt, failure, key, message, new_id


@pytest.fixture
async def stores(postgres_dsn: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    key_ring = KeyRing.generate()
    pair = (PostgresStore(postgres_dsn, key_ring=key_ring), PostgresStore(postgres_dsn, key_ring=key_ring))
    await asyncio.gather(*(store.migrate() for store in pair))
    for store in pair:
        await store.open(engine=True)
    yield pair
    for store in pair:
        await store.close()


@pytest.fixture
async def here(stores: tuple[PostgresStore, PostgresStore]) -> World:
    return await World(stores[0]).build()


@pytest.fixture
def there(stores: tuple[PostgresStore, PostgresStore]) -> PostgresStore:
    return stores[1]


@pytest.fixture
async def node_there(here: World, there: PostgresStore) -> NodeLease:
    return await there.register_node("node_there", LEASE_S)


@pytest.fixture
async def admin(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_dsn)
    yield connection
    await connection.close()


async def test_claims_by_two_nodes_at_once_never_give_a_delivery_twice(
    here: World, there: PostgresStore, node_there: NodeLease
) -> None:
    lanes = [(await here.endpoint()).id for _ in range(4)]
    for lane in lanes:
        await here.free(lane, count=60)
    wants = [Want(lane, 7) for lane in lanes]
    got: list[tuple[str, str]] = []

    async def take(store: PostgresStore, node: NodeLease) -> None:
        empty = 0
        while empty < 3:  # a lane that the other node holds gives nothing, once
            claimed = await store.claim(node, wants, NOW)
            empty = 0 if claimed else empty + 1
            got.extend((one.message.id, one.endpoint_id) for one in claimed)

    await asyncio.gather(take(here.store, here.node), take(there, node_there))
    assert len(got) == len(set(got)) == 240
    assert await here.due() == []


async def test_a_lane_that_others_hold_is_waited_for_the_second_time(here: World, admin: asyncpg.Connection) -> None:
    busy, calm = (await here.endpoint()).id, (await here.endpoint()).id
    await here.free(busy)
    await here.free(calm)
    wants = [Want(busy, 5), Want(calm, 5)]
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_lanes WHERE endpoint_id = $1 FOR UPDATE", busy)
    assert [one.endpoint_id for one in await here.store.claim(here.node, wants, NOW)] == [calm]
    waiting = asyncio.create_task(here.store.claim(here.node, wants, NOW))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    await transaction.rollback()
    assert [one.endpoint_id for one in await waiting] == [busy]


async def test_a_row_written_while_its_lane_is_claimed_makes_the_lane_due(
    here: World, admin: asyncpg.Connection
) -> None:
    """The lane's next due time is computed under its lock: a commit that waits for the lock is not forgotten."""
    lane = (await here.endpoint()).id
    (first,) = await here.free(lane)
    await here.lease(lane)
    transaction = admin.transaction()  # stands for a claim that has just computed «nothing is due»
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_lanes WHERE endpoint_id = $1 FOR UPDATE", lane)
    outcome = Outcome(failure(first, lane), retry_at_ms=NOW + 1_000, has_row=True)
    recording = asyncio.create_task(here.record(outcome))
    done, _ = await asyncio.wait([recording], timeout=0.1)
    assert not done
    await admin.execute("UPDATE hookline_lanes SET next_due_at_ms = NULL WHERE endpoint_id = $1", lane)
    await transaction.commit()
    await recording
    assert await here.store.next_due_at(NOW) == NOW + 1_000


async def test_two_rescuers_at_once_rescue_everything_once(
    here: World, there: PostgresStore, node_there: NodeLease
) -> None:
    lane = (await here.endpoint()).id
    dying = await here.store.register_node("node_dying", LEASE_S)
    for _ in range(10):
        await here.accept(lane, node=dying, count=3)
    await here.free(lane, count=20)
    assert len(await here.lease(lane, node=dying)) == 20
    await here.die(dying)

    async def rescue_all(store: PostgresStore, node: NodeLease) -> list[RescueReport]:
        reports = [await store.rescue(node, NOW, 4)]
        while reports[-1].more:
            reports.append(await store.rescue(node, NOW, 4))
        return reports

    both = await asyncio.gather(rescue_all(here.store, here.node), rescue_all(there, node_there))
    reports = both[0] + both[1] + await rescue_all(there, node_there)
    assert sum(report.nodes for report in reports) == 1
    assert sum(report.batches for report in reports) == 10
    assert sum(report.deliveries for report in reports) == 50
    claimed = await here.lease(lane)
    assert len({one.message.id for one in claimed}) == len(claimed) == 50
    assert {one.rescues for one in claimed} == {1}


async def test_a_node_with_a_commit_under_way_is_not_declared_dead(
    here: World, there: PostgresStore, node_there: NodeLease, admin: asyncpg.Connection
) -> None:
    """The fence from the committing side: the rescuer comes back later, and then sees what was committed."""
    lane = (await here.endpoint()).id
    dying = await here.store.register_node("node_dying", LEASE_S)
    (one,) = await here.accept(lane, node=dying)
    await here.die(dying)
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_nodes WHERE id = 'node_dying' FOR KEY SHARE")
    assert await there.rescue(node_there, NOW, 10) == RescueReport()
    await transaction.rollback()
    await here.record(Outcome(attempt(one, lane)), node=dying)  # its epoch still stands
    report = await there.rescue(node_there, NOW, 10)
    assert (report.nodes, report.batches, report.deliveries) == (1, 1, 0)


async def test_a_commit_waits_for_the_rescuer_and_then_finds_itself_fenced(
    here: World, admin: asyncpg.Connection
) -> None:
    """The fence from the rescuing side."""
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_nodes WHERE id = $1 FOR UPDATE", here.node.node_id)
    late = message(here.app.id, "ep_one")
    committing = asyncio.create_task(here.write(messages=[NewMessage(late)], batch_id=new_id(BATCH)))
    done, _ = await asyncio.wait([committing], timeout=0.1)
    assert not done
    await admin.execute("UPDATE hookline_nodes SET epoch = epoch + 1 WHERE id = $1", here.node.node_id)
    await transaction.commit()
    with pytest.raises(FencedError):
        await committing
    assert await here.store.get_message(here.scope, late.id) is None


async def test_a_lease_is_renewed_while_a_commit_is_under_way(here: World, admin: asyncpg.Connection) -> None:
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_nodes WHERE id = $1 FOR KEY SHARE", here.node.node_id)
    assert await here.store.renew_lease(here.node, LEASE_S)
    await transaction.rollback()


async def test_registering_again_waits_for_commits_of_the_life_before(here: World, admin: asyncpg.Connection) -> None:
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_nodes WHERE id = $1 FOR KEY SHARE", here.node.node_id)
    registering = asyncio.create_task(here.store.register_node(here.node.node_id, LEASE_S))
    done, _ = await asyncio.wait([registering], timeout=0.1)
    assert not done
    await transaction.rollback()
    assert (await registering).epoch > here.node.epoch


async def test_two_commits_are_in_flight_at_once(here: World, admin: asyncpg.Connection) -> None:
    first, second = (await here.endpoint()).id, (await here.endpoint()).id
    (held,) = await here.free(first)
    await here.lease(first)
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_pending WHERE message_id = $1 FOR UPDATE", held.id)
    blocked = asyncio.create_task(here.record(Outcome(attempt(held, first), has_row=True)))
    await here.accept(second)  # does not wait for it
    assert not blocked.done()
    await transaction.rollback()
    await blocked


async def test_commits_that_take_the_same_rows_in_any_order_all_succeed(
    here: World, there: PostgresStore, node_there: NodeLease
) -> None:
    """Locks are taken in sorted order, whatever the order of what is recorded."""
    lanes = [(await here.endpoint()).id for _ in range(5)]
    messages = await here.accept(*lanes, count=12)
    pairs = [(one, lane) for one in messages for lane in lanes]

    async def record(store: PostgresStore, node: NodeLease, chosen: list[tuple[object, str]]) -> None:
        world = World(store)
        world.node = node
        for start in range(0, len(chosen), 20):
            outcomes = [
                Outcome(failure(one, lane), retry_at_ms=NOW + 1_000) for one, lane in chosen[start : start + 20]
            ]
            await world.record(*outcomes)
            releases = [key(one, lane) for one, lane in reversed(chosen[start : start + 20])]
            await world.write(releases=releases)

    await asyncio.gather(
        *(
            record(store, node, chosen)
            for store, node in ((here.store, here.node), (there, node_there))
            for chosen in (pairs, pairs[::-1], pairs[7:] + pairs[:7])
        )
    )
    assert (await here.store.backlog(NOW)).waiting == len(pairs)


async def test_another_node_hears_of_routing_lanes_and_the_outbox(
    here: World, there: PostgresStore, admin: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    there.subscribe(lambda kind, name: heard.put_nowait((kind, name)))
    endpoint = await here.endpoint(ordered=True)
    assert await heard.get() == ("routing", here.app.id)
    await here.accept_ordered(endpoint.id)
    assert await heard.get() == ("lane", endpoint.id)
    await admin.execute(
        "INSERT INTO hookline_outbox (org_id, app, event_type, payload) VALUES ('org_one', 'app', 'a.b', 'x')"
    )
    assert await heard.get() == ("outbox", "")


async def test_a_plain_commit_wakes_nobody(here: World, there: PostgresStore) -> None:
    heard: list[tuple[str, str]] = []
    there.subscribe(lambda kind, name: heard.append((kind, name)))
    lane = (await here.endpoint()).id
    (one,) = await here.accept(lane)
    await here.record(Outcome(failure(one, lane), retry_at_ms=NOW + 1_000))
    done = asyncio.Event()
    there.subscribe(lambda kind, _: done.set() if kind == "outbox" else None)
    async with asyncio.timeout(5):
        # What is heard comes in the order of the commits, so after this one nothing of the above can come.
        async with here.store._reads.query() as connection:
            await connection.execute("SELECT pg_notify('hookline', 'outbox')")
        await done.wait()
    assert [kind for kind, _ in heard] == ["routing", "outbox"]


async def test_many_nodes_may_migrate_at_once(postgres_server: object) -> None:
    name = postgres_server.create_database()
    stores = [PostgresStore(postgres_server.dsn(name), key_ring=KeyRing.generate()) for _ in range(4)]
    applied = await asyncio.gather(*(store.migrate() for store in stores))
    assert sorted(map(len, applied)) == [0, 0, 0, len(max(applied, key=len))]
    for store in stores:
        await store.close()
    postgres_server.drop_database(name)


async def test_a_rescue_does_not_wait_for_an_alert_rule(here: World, admin: asyncpg.Connection) -> None:
    rule = AlertRule(
        "alert_1", "org_one", None, "", AlertKind.ENDPOINT_DISABLED, 1.0, 60_000, 1, (), None, True, NOW, NOW
    )
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("LOCK TABLE hookline_endpoint_health")
    held = asyncio.create_task(here.store.measure_alert(rule, NOW))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await here.store.rescue(here.node, NOW, 10)
    assert not held.done()
    await transaction.rollback()
    assert await held == Measure(0)


async def test_a_store_whose_connections_are_all_busy_says_so(
    here: World, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookline.store.postgres.connections.WAIT_FOR_CONNECTION_S", 0.05)
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("LOCK TABLE hookline_lanes")
    held = asyncio.create_task(here.store.next_due_at(NOW))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailableError, match="busy"):
        await here.store.next_due_at(NOW)
    await transaction.rollback()
    assert await held is None
