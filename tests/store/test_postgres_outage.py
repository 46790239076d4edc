"""A PostgreSQL that goes away: stopped, killed, full of clients, read-only. The store says so, and comes back alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from hookline.model.ids import BATCH
from hookline.store import (
    AmbiguousCommitError,
    KeyCheckError,
    KeyRing,
    MessageFilter,
    MigrationError,
    NewMessage,
    Outcome,
    Page,
    StoreFullError,
    StoreUnavailableError,
    create_store,
)
from hookline.store.postgres import PostgresStore
from support.postgres import PostgresServer
from support.store import NOW, World, failure, message, new_id

KEY_RING = KeyRing.generate()
ROUNDS = 4
EACH_ROUND = 15


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Start a server of our own, to be killed: as durable as in production."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def world(server: PostgresServer) -> AsyncIterator[World]:
    server.start()
    name = server.create_database()
    store = PostgresStore(server.dsn(name), key_ring=KEY_RING)
    await store.migrate()
    await store.open(engine=True)
    yield await World(store).build()
    await store.close()
    server.start()
    server.drop_database(name)


async def _until_it_answers(store: PostgresStore) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await store.ping()
            except StoreUnavailableError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_commits_that_were_confirmed_outlive_killed_servers(world: World, server: PostgresServer) -> None:
    """Two committers at work while the postmaster is killed again and again; the ledger must be exact."""
    lane = (await world.endpoint()).id
    kept: set[str] = set()
    lost: set[str] = set()
    confirmed = asyncio.Condition()
    stopping = False

    async def resolve(batch_id: str) -> bool:
        while True:
            try:
                return await world.store.resolve_batch(batch_id)
            except StoreUnavailableError:
                await asyncio.sleep(0.01)

    async def work() -> None:
        while not stopping:
            batch_id, new = new_id(BATCH), message(world.app.id, lane)
            try:
                await world.write(messages=[NewMessage(new)], batch_id=batch_id)
            except AmbiguousCommitError:
                (kept if await resolve(batch_id) else lost).add(new.id)
            except StoreUnavailableError:
                lost.add(new.id)
                await asyncio.sleep(0.01)
            else:
                kept.add(new.id)
                async with confirmed:
                    confirmed.notify_all()

    workers = [asyncio.create_task(work()) for _ in range(2)]
    for _ in range(ROUNDS):
        before = len(kept)
        async with asyncio.timeout(30), confirmed:
            await confirmed.wait_for(lambda enough=before + EACH_ROUND: len(kept) >= enough)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    stopping = True
    await asyncio.gather(*workers)
    await _until_it_answers(world.store)
    found = await world.store.list_messages(world.scope, Page(limit=100_000), MessageFilter())
    assert {one.id for one in found.rows} == kept
    assert not lost & kept
    batches = await world.store.own_batches(world.node, NOW + 1)
    assert len(batches) == len(kept)


async def test_a_server_that_is_down_is_said_to_be_and_found_again(world: World, server: PostgresServer) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    world.store.subscribe(lambda kind, name: heard.put_nowait((kind, name)))
    lane = (await world.endpoint()).id
    await world.free(lane)
    assert await heard.get() == ("routing", world.app.id)
    await asyncio.to_thread(server.stop)
    for question in (
        world.store.ping,
        lambda: world.store.renew_lease(world.node, 10.0),
        lambda: world.lease(lane),
        lambda: world.accept(lane),
        lambda: world.store.rescue(world.node, NOW, 10),
        lambda: world.store.get_application(world.org, world.app.id),
    ):
        with pytest.raises(StoreUnavailableError):
            await question()
    await asyncio.to_thread(server.start)
    await _until_it_answers(world.store)
    assert len(await world.lease(lane)) == 1
    await world.accept(lane)
    async with asyncio.timeout(10):
        assert await heard.get() == ("resync", "")  # something may have been missed meanwhile
        await world.endpoint()
        assert await heard.get() == ("routing", world.app.id)


async def test_a_refused_connection_is_an_unavailable_database(world: World, server: PostgresServer) -> None:
    """Every way in which PostgreSQL can refuse us reads the same to callers."""
    admin = await asyncpg.connect(server.dsn())
    database = world.store._address.dsn.rpartition("/")[2]
    await admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)
    with pytest.raises(StoreUnavailableError):
        await world.store.ping()
    with pytest.raises(StoreUnavailableError):
        await world.accept("ep_one")
    await admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
    await admin.close()
    await _until_it_answers(world.store)


async def test_a_read_only_server_is_left_for_the_next_one(world: World, server: PostgresServer) -> None:
    """What a fail-over leaves behind: connections to a server that was the primary."""
    database = world.store._address.dsn.rpartition("/")[2]
    for pool in world.store._pools:
        await _drop_idle(pool)
    server.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    with pytest.raises(StoreUnavailableError):
        await world.accept("ep_one")
    server.execute(f'ALTER DATABASE "{database}" RESET default_transaction_read_only')
    await world.accept("ep_one")  # over a new connection: the old one would still be read-only


async def _drop_idle(pool: object) -> None:
    while pool._idle:
        await pool._idle.pop().close()


async def test_a_full_disk_keeps_nothing_and_is_said(world: World) -> None:
    await _refuse_messages(world, "53100")
    batch_id = new_id(BATCH)
    with pytest.raises(StoreFullError):
        await world.write(messages=[NewMessage(message(world.app.id, "ep_one"))], batch_id=batch_id)
    assert (await world.store.backlog(NOW)).batches == 0
    await world.store.ping()


async def test_contention_is_tried_again_and_given_up_in_the_end(world: World) -> None:
    await _refuse_messages(world, "40P01", times=3)
    (kept,) = await world.accept("ep_one")
    assert await world.store.get_message(world.scope, kept.id) == kept
    await _refuse_messages(world, "40001", times=1_000)
    with pytest.raises(StoreUnavailableError):
        await world.accept("ep_one")


async def test_what_others_said_is_kept_though_postgresql_cannot_hold_all_of_it(world: World) -> None:
    lane = (await world.endpoint()).id
    (one,) = await world.accept(lane)
    made = failure(one, lane, final=True, detail="caf\u00e9 \0 \udcff")
    await world.record(Outcome(made))
    found = await world.store.get_attempt(world.scope, one.id, made.id)
    assert found is not None
    assert found.detail == "caf\u00e9 \ufffd ?"


async def _refuse_messages(world: World, sqlstate: str, *, times: int = 1_000) -> None:
    """Let the server itself refuse the next messages, with the code that it would have for them."""
    async with world.store._upkeep.lease() as connection:
        await connection.execute(
            f"""
            CREATE SEQUENCE IF NOT EXISTS refusals;
            SELECT setval('refusals', 1, false);
            CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('refusals') <= {times} THEN
                    RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}';
                END IF;
                RETURN NEW;
            END $$;
            CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON hookline_messages
                FOR EACH ROW EXECUTE FUNCTION refuse();
            """
        )


async def test_a_cancelled_commit_leaves_the_store_usable(world: World, server: PostgresServer) -> None:
    admin = await asyncpg.connect(world.store._address.dsn)
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute("SELECT 1 FROM hookline_nodes WHERE id = $1 FOR UPDATE", world.node.node_id)
    waiting = [asyncio.create_task(world.accept("ep_one")) for _ in range(2)]
    await asyncio.wait(waiting, timeout=0.1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await transaction.rollback()
    await admin.close()
    await world.accept("ep_one")
    assert (await world.store.backlog(NOW)).batches == 1


async def test_a_database_without_the_schema_is_not_opened(server: PostgresServer) -> None:
    server.start()
    name = server.create_database()
    store = PostgresStore(server.dsn(name), key_ring=KEY_RING)
    with pytest.raises(MigrationError, match="hookline migrate"):
        await store.open(engine=True)
    server.drop_database(name)


async def test_another_key_is_refused_and_a_rotated_one_is_not(world: World) -> None:
    url = world.store._address.dsn
    new = KeyRing.generate()
    with pytest.raises(KeyCheckError):
        await PostgresStore(url, key_ring=new).open(engine=False)
    rotated = PostgresStore(url, key_ring=KeyRing.from_text(f"{new.to_text()},{KEY_RING.to_text()}"))
    await rotated.open(engine=False)
    await rotated.close()
    renewed = PostgresStore(url, key_ring=new)
    await renewed.open(engine=False)
    await renewed.close()


def test_a_key_is_required() -> None:
    with pytest.raises(KeyCheckError, match="HOOKLINE_ENCRYPTION_KEY"):
        create_store("postgresql://127.0.0.1/none", key_ring=None)


def test_a_password_is_in_no_repr() -> None:
    store = PostgresStore("postgresql://me:s3cret@127.0.0.1/none?pgbouncer=true", key_ring=KEY_RING)
    assert "s3cret" not in repr(store._address)
    assert store._address.pgbouncer
    assert store._address.dsn == "postgresql://me:s3cret@127.0.0.1/none"


async def test_without_prepared_statements_and_session_settings_it_works_too(server: PostgresServer) -> None:
    """As behind PgBouncer in transaction mode."""
    server.start()
    name = server.create_database()
    store = PostgresStore(f"{server.dsn(name)}?pgbouncer=true", key_ring=KEY_RING)
    await store.migrate()
    await store.open(engine=True)
    world = await World(store).build()
    lane = (await world.endpoint()).id
    (one,) = await world.free(lane)
    assert [claimed.message for claimed in await world.lease(lane)] == [one]
    assert await store.renew_lease(world.node, 10.0)
    assert (await store.list_messages(world.scope, Page(), MessageFilter())).rows == [one]
    await store.close()
    server.drop_database(name)
