"""Schema changes of a database that is in use: what was there goes on, and nobody gives up before they are done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from hookline.model import DeliveryState
from hookline.model.ids import ATTEMPT, id_at
from hookline.store import AppScope, Want, migrations
from hookline.store.postgres import PostgresStore, setup
from hookline.store.sqlite import setup as sqlite_setup
from support.postgres import PostgresServer
from support.store import NOW, new_id

from .conftest import KEY_RING, Database

APP, ENDPOINT, SENT, WAITING = "app_old", "ep_old", new_id("msg"), new_id("msg")
EMPTY, OBJECT = "CAST('' AS BYTES)", "CAST('{}' AS BYTES)"  # the name of the type is put in
OLD_ROWS: list[tuple[str, dict[str, object]]] = [
    (
        "applications",
        {"id": APP, "org_id": "org_one", "name": "Old", "metadata": "{}", "created_at_ms": NOW}
        | {"updated_at_ms": NOW, "routing_version": 1},
    ),
    (
        "endpoints",
        {"id": ENDPOINT, "org_id": "org_one", "app_id": APP, "url": "https://one.example", "description": ""}
        | {"version": 1, "dialect": "standard", "status": "enabled", "secrets": EMPTY, "headers": EMPTY}
        | {"options": "{}", "ordered": False, "metadata": "{}", "created_at_ms": NOW, "updated_at_ms": NOW},
    ),
    *(
        (
            "messages",
            {"app_id": APP, "id": name, "org_id": "org_one", "event_type": "a.b", "payload": OBJECT}
            | {"targets": ENDPOINT, "created_at_ms": NOW},
        )
        for name in (SENT, WAITING)
    ),
    (
        "attempts",
        {"id": id_at(ATTEMPT, NOW), "app_id": APP, "message_id": SENT, "endpoint_id": ENDPOINT, "kind": "scheduled"}
        | {"number": 1, "url": "", "status": 2, "final": True, "reason": "http_status", "detail": ""}
        | {"response_status": 500, "response_body": EMPTY, "duration_ms": 5, "created_at_ms": NOW},
    ),
    (
        "pending",
        {"message_id": WAITING, "endpoint_id": ENDPOINT, "kind": "scheduled", "app_id": APP, "attempts": 1}
        | {"rescues": 0, "due_at_ms": NOW},
    ),
    ("lanes", {"endpoint_id": ENDPOINT, "app_id": APP, "next_due_at_ms": NOW}),
]


def write_insert(name: str, table: str, row: dict[str, object]) -> str:
    """The statement that makes this row in a database of this kind."""
    values = [
        str(value) if not isinstance(value, str) or value.startswith("CAST") else f"'{value}'" for value in row.values()
    ]
    text = f"INSERT INTO hookline_{table} ({', '.join(row)}) VALUES ({', '.join(values)})"
    return text.replace("BYTES", "BLOB" if name == "sqlite" else "BYTEA")


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
async def test_what_the_first_schema_held_goes_on(
    name: str, tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    if name == "postgres":
        url = postgres_server.dsn(postgres_server.create_database())
    database = Database(name, url)
    with monkeypatch.context() as earlier:
        for module in (setup, sqlite_setup):
            earlier.setattr(module, "list_migrations", lambda kind: migrations.list_migrations(kind)[:1])
        assert await database.store.migrate() == ["0001_init"]
    for table, row in OLD_ROWS:
        await database.fetch(write_insert(name, table, row))
    assert len(await database.store.migrate()) == len(migrations.list_migrations(name)) - 1
    store = database.store
    await store.open(engine=True)
    scope = AppScope("org_one", APP)
    message = await store.get_message(scope, SENT)
    assert message is not None
    assert (message.payload, message.tags, message.deliver_at_ms) == (b"{}", (), None)
    (one,) = await store.deliveries_of_message(scope, SENT, NOW)
    assert one.state is DeliveryState.EXHAUSTED
    node = await store.register_node("node", 60.0)
    assert [due.endpoint_id for due in await store.due_lanes(node, NOW, 10)] == [ENDPOINT]
    (claimed,) = await store.claim(node, [Want(ENDPOINT, 5)], NOW)
    assert (claimed.message.id, claimed.attempts) == (WAITING, 1)
    await store.close()


WAITING_FOR_LOCKS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE NOT l.granted AND d.datname = current_database()"
)


async def test_a_schema_change_waits_for_commits_under_way_and_not_the_other_way_round(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes of the version before go on meanwhile: neither may be in the way of the other for good."""
    name = postgres_server.create_database()
    store = PostgresStore(postgres_server.dsn(name), key_ring=KEY_RING)
    with monkeypatch.context() as earlier:
        earlier.setattr(setup, "list_migrations", lambda kind: migrations.list_migrations(kind)[:1])
        await store.migrate()
    node, watcher = [await asyncpg.connect(postgres_server.dsn(name)) for _ in range(2)]
    commit = node.transaction()
    await commit.start()
    await node.fetch("SELECT routing_version FROM hookline_applications")
    migrating = asyncio.create_task(store.migrate())
    async with asyncio.timeout(10):
        while not await watcher.fetchval(WAITING_FOR_LOCKS):
            await asyncio.sleep(0.01)
        for table, row in OLD_ROWS[2:]:
            await node.execute(write_insert("postgres", table, row))
        await commit.commit()
        assert len(await migrating) == len(migrations.list_migrations("postgres")) - 1
    for connection in (node, watcher):
        await connection.close()
    await store.close()
    postgres_server.drop_database(name)


async def test_a_schema_change_may_take_longer_than_any_other_statement(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    other = await asyncpg.connect(postgres_server.dsn(name))
    store = PostgresStore(postgres_server.dsn(name), key_ring=KEY_RING)
    store._upkeep._timeout_s = 0.3
    await other.execute("SELECT pg_advisory_lock($1)", setup.MIGRATION_LOCK)
    migrating = asyncio.create_task(store.migrate())
    done, _ = await asyncio.wait([migrating], timeout=1.0)
    assert not done
    await other.close()
    assert len(await migrating) == len(migrations.list_migrations("postgres"))
    await store.close()
    postgres_server.drop_database(name)
