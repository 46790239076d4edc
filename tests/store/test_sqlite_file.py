"""What only a SQLite file has: its lock, its key file, its schema, and other processes beside us."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from hookline.clock import SystemClock
from hookline.store import (
    EngineLockedError,
    KeyCheckError,
    KeyRing,
    MigrationError,
    OrgScope,
    Page,
    StoreError,
    StoreUnavailableError,
    create_store,
)
from hookline.store.answers import TRIM_SHARE
from hookline.store.migrations import list_migrations
from hookline.store.sqlite import SqliteStore, answers, load_or_create_secret, tasks
from support.store import NOW, World, application, endpoint


def make(path: Path, key_ring: KeyRing | None = None) -> SqliteStore:
    return SqliteStore(str(path), key_ring=key_ring, clock=SystemClock())


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "hookline.db"
    await make(path).migrate()
    return path


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = make(path)
    await store.open(engine=True)
    yield store
    await store.close()


# --- what takes long


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads in which answers are trimmed and tasks removed, in their order."""
    seen: list[int] = []
    for module, name in ((answers, "claim"), (tasks, "prune")):
        work = getattr(module, name)

        def note(*values: object, work: Callable[..., object] = work) -> object:
            seen.append(threading.get_ident())
            return work(*values)

        monkeypatch.setattr(module, name, note)
    return seen


async def test_what_goes_through_many_rows_leaves_the_event_loop_alone(store, threads):
    usual, trims = (bytes([first]) * 32 for first in (TRIM_SHARE, TRIM_SHARE - 1))
    for name in (usual, trims):
        await store.claim_answer(OrgScope("org"), name, owner=b"o", fingerprint=b"f", now_ms=NOW, until_ms=NOW + 1)
    await store.prune_tasks(NOW, 10)
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False, False]


# --- the engine's lock


async def test_one_engine_per_file(path, store):
    second = make(path)
    with pytest.raises(EngineLockedError, match=str(os.getpid())):
        await second.open(engine=True)
    await store.close()
    await second.open(engine=True)
    await second.close()


async def test_others_may_open_without_the_engine(path, store):
    beside = make(path)
    await beside.open(engine=False)
    created = await beside.create_application(application())
    assert await store.get_application(_org(created), created.id) == created
    await beside.close()


async def test_the_next_engine_need_not_wait_for_the_lease_of_the_one_that_died(path):
    first = make(path)
    await first.open(engine=True)
    world = await World(first).build()
    one = await world.endpoint()
    await world.accept(one.id, count=3)
    assert await first.renew_lease(world.node, 3_600.0)
    await first.close()  # as the end of its process would: no word about leases

    heir = make(path)
    await heir.open(engine=True)
    node = await heir.register_node("node_heir", 3_600.0)
    report = await heir.rescue(node, NOW, 100)
    assert report.deliveries == 3
    assert (await heir.rescue(node, NOW, 100)).nodes == 0
    await heir.close()


def _org(created):
    return OrgScope(created.org_id)


async def test_a_killed_engine_leaves_no_lock_behind(path):
    script = (
        "import asyncio, sys\n"
        "from hookline.store import create_store\n"
        "async def main():\n"
        f"    await create_store('sqlite:///{path}', key_ring=None).open(engine=True)\n"
        "    print('open', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(EngineLockedError, match=str(owner.pid)):
            await make(path).open(engine=True)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    heir = make(path)
    await heir.open(engine=True)
    await heir.close()


# --- the key


async def test_a_key_is_made_beside_the_file_once(path):
    first = make(path)
    await first.open(engine=False)
    created = await World(first).build()
    one = await created.endpoint()
    assert first.created_key_file == Path(f"{path}.key")
    assert stat.S_IMODE(first.created_key_file.stat().st_mode) == 0o600
    await first.close()
    second = make(path)
    await second.open(engine=False)
    assert second.created_key_file is None
    assert await second.get_endpoint(created.scope, one.id) == one
    await second.close()


async def test_payloads_are_for_their_owner_alone(path, store):
    await World(store).build()
    files = [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm")]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


async def test_a_lost_key_is_not_replaced(path, store):
    await store.close()
    key_file = Path(f"{path}.key")
    key_file.unlink()
    with pytest.raises(KeyCheckError):
        await make(path).open(engine=True)
    assert not key_file.exists()


async def test_another_key_is_refused_and_holds_no_lock(path, store):
    await store.close()
    with pytest.raises(KeyCheckError):
        await make(path, KeyRing.generate()).open(engine=True)
    again = make(path)
    await again.open(engine=True)
    await again.close()


async def test_keys_rotate(path):
    old, new = KeyRing.generate(), KeyRing.generate()
    both = KeyRing.from_text(f"{new.to_text()},{old.to_text()}")
    first = make(path, old)
    await first.open(engine=True)
    world = await World(first).build()
    before = await world.endpoint()
    await first.close()
    second = make(path, both)
    await second.open(engine=True)
    assert await second.get_endpoint(world.scope, before.id) == before
    await second.update_endpoint(before)
    await second.close()
    third = make(path, new)
    await third.open(engine=True)
    assert await third.get_endpoint(world.scope, before.id) == before
    await third.close()
    with pytest.raises(KeyCheckError):
        await make(path, old).open(engine=True)


async def test_two_first_starts_share_one_key(path):
    stores = [make(path) for _ in range(3)]
    async with anyio.create_task_group() as group:
        for store in stores:
            group.start_soon(lambda store=store: store.open(engine=False))
    world = await World(stores[0]).build()
    one = await world.endpoint()
    for store in stores:
        assert await store.get_endpoint(world.scope, one.id) == one
        await store.close()
    assert sum(store.created_key_file is not None for store in stores) == 1


def test_secrets_beside_the_database(tmp_path):
    path = tmp_path / "hookline.db.jwt"
    text, created = load_or_create_secret(path)
    assert created
    assert len(text) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret(path) == (text, False)
    assert [file.name for file in tmp_path.iterdir()] == ["hookline.db.jwt"]
    with pytest.raises(KeyCheckError):
        load_or_create_secret(tmp_path / "nowhere" / "x")


# --- the schema


async def test_a_schema_that_is_missing_is_not_worked_on(tmp_path):
    with pytest.raises(MigrationError, match="hookline migrate"):
        await make(tmp_path / "new.db").open(engine=True)


async def test_many_may_migrate_at_once(tmp_path):
    applied: list[list[str]] = []

    async def migrate() -> None:
        applied.append(await make(tmp_path / "new.db").migrate())

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(migrate)
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(list_migrations("sqlite"))]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO hookline_migrations VALUES (9999, 'future', 'x', 0)",
        "UPDATE hookline_migrations SET checksum = 'x' WHERE version = 1",
    ],
)
async def test_a_schema_that_is_not_ours_is_refused(path, change):
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    for refused in (make(path).migrate(), make(path).open(engine=True)):
        with pytest.raises(MigrationError):
            await refused


async def test_a_migration_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from hookline.store.migrations import Migration
    from hookline.store.sqlite import setup

    broken = Migration(1, "broken", "x", "CREATE TABLE one (n);\nINSERT INTO none VALUES (';');\n")
    monkeypatch.setattr(setup, "list_migrations", lambda _: [broken])
    with pytest.raises(StoreError):
        await make(tmp_path / "new.db").migrate()
    with sqlite3.connect(tmp_path / "new.db") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


# --- other processes


async def test_changes_of_others_are_noticed_and_ours_are_not(path, store):
    heard: list[tuple[str, str]] = []
    changed = anyio.Event()

    def listen(kind: str, identifier: str) -> None:
        heard.append((kind, identifier))
        changed.set()

    store.subscribe(listen)
    world = await World(store).build()
    await anyio.sleep(0.5)  # two rounds of looking: silence cannot be awaited otherwise
    assert heard == []
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(
        "INSERT INTO hookline_outbox (org_id, app, event_type, payload) VALUES ('org_one', ?, 'a', 'text')",
        (world.app.id,),
    )
    other.close()
    with anyio.fail_after(10):
        while ("outbox", "") not in heard:
            changed = anyio.Event()
            await changed.wait()
    assert ("resync", "") in heard
    (row,) = await store.read_outbox(10)
    assert row.payload == b"text"  # an application may well write text


async def test_routing_changes_of_another_process_are_seen(path, store):
    world = await World(store).build()
    beside = make(path)
    await beside.open(engine=False)
    version, _, _ = await store.load_routing(world.app.id)
    created = await beside.create_endpoint(endpoint(world.app.id))
    await beside.close()
    assert [change.app_id for change in await store.routing_changes(version, 10)] == [world.app.id]
    assert (await store.load_routing(world.app.id))[1] == [created]


# --- addresses


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "mysql://x/y", "hookline.db"])
def test_urls_that_name_no_database(url):
    with pytest.raises(StoreError) as caught:
        create_store(url, key_ring=None)
    assert caught.value.code == "database_url_invalid"


async def test_urls_of_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await create_store("sqlite:///here.db", key_ring=None).migrate()
    await create_store(f"sqlite:///{tmp_path}/there.db", key_ring=None).migrate()
    assert {file.name for file in tmp_path.glob("*.db")} == {"here.db", "there.db"}


@pytest.mark.parametrize("engine", [True, False])
async def test_a_file_that_is_no_database(tmp_path, engine):
    path = tmp_path / "notes.txt"
    path.write_text("This is not the file you are looking for. " * 100)
    for refused in (make(path).migrate(), make(path).open(engine=engine)):
        with pytest.raises(StoreUnavailableError):
            await refused


async def test_a_directory_that_is_not_there(tmp_path):
    path = tmp_path / "nowhere" / "hookline.db"
    for refused in (make(path).migrate(), make(path).open(engine=True), make(path).open(engine=False)):
        with pytest.raises(StoreUnavailableError):
            await refused


async def test_a_closed_store_says_so(path):
    store = make(path)
    await store.open(engine=True)
    await store.ping()
    await store.close()
    for refused in (store.ping(), store.list_applications(_org(application()), Page())):
        with pytest.raises(StoreUnavailableError):
            await refused
    with pytest.raises(StoreUnavailableError):
        await store.create_application(application())


async def test_everything_is_there_after_a_restart(path, store):
    world = await World(store).build()
    one = await world.endpoint()
    (sent,) = await world.accept(one.id)
    await store.close()
    again = make(path)
    await again.open(engine=True)
    assert await again.get_message(world.scope, sent.id) == sent
    assert (await again.rescue(await again.register_node(world.node.node_id, 60.0), NOW, 10)).deliveries == 1
    await again.close()
