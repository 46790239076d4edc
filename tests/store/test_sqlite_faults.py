"""SQLite in trouble: locked by others, a full disk, a COMMIT that fails, a caller that goes away, a long log."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from hookline.clock import SystemClock
from hookline.model.ids import BATCH
from hookline.store import Commit, NewMessage, StoreError, StoreFullError, StoreUnavailableError
from hookline.store.sqlite import SqliteStore
from hookline.store.sqlite.checkpoints import Checkpointer
from support.store import NOW, World, message, new_id


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    return tmp_path / "hookline.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path), key_ring=None, clock=SystemClock())
    await store.migrate()
    await store.open(engine=True)
    yield store
    await store.close()


@pytest.fixture
async def world(store: SqliteStore) -> World:
    return await World(store).build()


def big(world: World, count: int = 50, payload_bytes: int = 8192) -> Commit:
    messages = [message(world.app.id, payload=os.urandom(payload_bytes)) for _ in range(count)]
    return Commit(world.node, NOW, batch_id=new_id(BATCH), messages=[NewMessage(one) for one in messages])


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM hookline_messages").fetchone()[0]
    finally:
        connection.close()


async def test_the_file_is_safe_against_a_power_cut(store):
    settings = await store._writer.read(
        lambda c: [c.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert settings == ["wal", 2]


# --- another process writes


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


async def test_a_commit_waits_for_another_writer_without_blocking_the_loop(path, world):
    target = (await world.endpoint()).id
    with writing(path) as other:
        async with anyio.create_task_group() as group:
            group.start_soon(world.accept, target)
            for _ in range(5):  # the loop runs on, readers read on
                await anyio.sleep(0.01)
                assert (await world.store.backlog(NOW)).batches == 0
            other.execute("COMMIT")
    assert count(path) == 1


async def test_waiting_has_an_end(path, store, world):
    store._writer._patience_s = 0.05
    target = (await world.endpoint()).id
    with writing(path), pytest.raises(StoreUnavailableError):
        await world.accept(target)
    await world.accept(target)
    assert count(path) == 1


# --- the disk


async def test_a_full_disk_keeps_nothing_and_works_again_with_space(path, store, world):
    pages = await store._writer.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await store._writer.read(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 10}").fetchone())
    with pytest.raises(StoreFullError):
        await store.commit(big(world))
    assert count(path) == 0
    assert await store.backlog(NOW)
    await store._writer.read(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await store.commit(big(world))
    assert count(path) == 50


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Make the kernel refuse it, as it would on a full or broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_commit_that_fails_keeps_nothing_and_the_next_one_works(path, store, world):
    """The log cannot grow: rows were inserted without complaint, COMMIT itself fails."""
    await store.commit(big(world, 3))
    with no_file_grows_beyond(Path(f"{path}-wal").stat().st_size):
        for _ in range(2):
            with pytest.raises((StoreUnavailableError, StoreFullError)):
                await store.commit(big(world))
        assert (await store.backlog(NOW)).batches == 0
        assert count(path) == 3
    await store.commit(big(world, 5))
    assert count(path) == 8
    assert (await store._writer.read(lambda c: c.execute("PRAGMA integrity_check").fetchone())) == ("ok",)


async def test_a_connection_that_cannot_roll_back_is_replaced(path, store, world):
    target = (await world.endpoint()).id

    def break_it(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO hookline_meta VALUES ('half', 'done')")
        connection.close()

    with pytest.raises(StoreError):
        await store._writer.run(break_it)
    await world.accept(target)
    assert count(path) == 1
    assert (
        await store._writer.read(lambda c: c.execute("SELECT * FROM hookline_meta WHERE name = 'half'").fetchall())
        == []
    )


# --- callers that go away


async def test_a_cancelled_caller_leaves_a_whole_transaction_or_none(path, store, world):
    for delay_s in (0.0, 0.0005, 0.001, 0.002, 0.004):
        before = count(path)
        task = asyncio.create_task(store.commit(big(world, 20)))
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert count(path) - before in {0, 20}
        await store.commit(big(world, 1))
    assert (await store._writer.read(lambda c: c.in_transaction)) is False


async def test_many_callers_at_once_take_turns(path, store, world):
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(store.commit, big(world, 2, 100))
            group.start_soon(store.rescue, world.node, NOW, 10)
            group.start_soon(store.backlog, NOW)
    assert count(path) == 40


# --- the log


async def test_the_log_starts_over_when_it_is_long(path, store, world):
    checkpointer = Checkpointer(str(path), store._writer, restart_bytes=256 * 1024)
    checkpointer.connect()
    await store.commit(big(world))
    assert await checkpointer.checkpoint() > 256 * 1024
    grown = Path(f"{path}-wal").stat().st_size
    await store.commit(big(world, 1, 10))  # the restart follows this one
    assert store._writer.restart_wanted is False
    await store.commit(big(world, 1, 10))
    assert await checkpointer.checkpoint() < 256 * 1024
    assert Path(f"{path}-wal").stat().st_size == grown
    await checkpointer.stop()
    assert count(path) == 52


async def test_a_reader_does_not_stop_commits_nor_lose_its_moment(path, store, world):
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM hookline_messages").fetchone() == (0,)
    store._writer.restart_wanted = True
    await store.commit(big(world, 5))
    await store.commit(big(world, 5))
    assert reader.execute("SELECT count(*) FROM hookline_messages").fetchone() == (0,)
    reader.close()
    assert count(path) == 10


# --- crashes


@pytest.mark.parametrize(("place", "kept"), [("before_commit:4", 0), ("after_commit:4", 1)])
async def test_a_crash_around_commit(tmp_path, place, kept):
    """The fourth transaction of the script is the message's."""
    path = tmp_path / "crash.db"
    script = (
        "import asyncio, sys\n"
        "from hookline.store import create_store\n"
        "from support.store import World\n"
        "async def main():\n"
        f"    store = create_store('sqlite:///{path}', key_ring=None)\n"
        "    await store.migrate()\n"
        "    await store.open(engine=True)\n"
        "    world = await World(store).build()\n"
        "    target = (await world.endpoint()).id\n"
        "    await world.accept(target)\n"
        "    print('alive')\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {
        "HOOKLINE_CRASH_AT": place,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = await anyio.run_process([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert done.stdout == b""
    assert count(path) == kept
    store = SqliteStore(str(path), key_ring=None, clock=SystemClock())
    await store.open(engine=True)
    node = await store.register_node("node_here", 60.0)
    assert (await store.rescue(node, NOW, 10)).deliveries == kept
    await store.close()


def test_nothing_happens_without_the_variable():
    done = subprocess.run(
        [sys.executable, "-c", "from hookline import crashpoints; crashpoints.reach('before_commit')"],
        env={name: value for name, value in os.environ.items() if name != "HOOKLINE_CRASH_AT"},
        check=False,
    )
    assert done.returncode == 0
