"""Every list and count of the API walks an index: the plans that both databases make, on tables with a past.

A plan is bad if it reads a big table from end to end, walks an index that its list is not ordered by (it would sort),
or makes a hash of one. On PostgreSQL lists are planned for any values, not for those at hand: so is what is looked at.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hookline.store import KeyRing, create_store
from hookline.store.postgres.connections import INDEX_ONLY
from support.filling import Past, fill
from support.list_calls import list_calls
from support.postgres import PostgresServer

KEY_RING = KeyRing.from_text("k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
BIG = ("hookline_messages", "hookline_attempts", "hookline_pending")
# As many rows as all nodes have in memory: these are counted one by one.
WHOLE_INDEX = "hookline_pending_lease"
# What of an index may be walked: a range of ids of one parent, or all of one message. Of an endpoint, only what waits.
GOOD_RANGE = re.compile(
    r"\((app_id=\? AND id[<>=]|endpoint_id=\? AND (status=\? AND )?id[<>]|message_id=\?)|pending_due \(endpoint_id=\?"
)
GOOD_CONDITION = re.compile(r"\((app_id|endpoint_id) = .* AND \(id [<>]|\(app_id = .* AND \(id = |\(message_id = ")
NOW_MS = time.time_ns() // 1_000_000


# --- SQLite


@pytest.fixture
async def sqlite_calls(tmp_path: Path) -> dict[str, list[str]]:
    """Give the statements of each call, with their values in place."""
    url = f"sqlite:///{tmp_path}/hookline.db"
    store = create_store(url, key_ring=KEY_RING)
    await store.migrate()
    await store.open(engine=True)
    past = await fill(store, url, messages=3_000, now_ms=NOW_MS, payload_bytes=100)
    statements: list[str] = []
    idle = [store._readers._idle.get() for _ in range(store._readers._idle.qsize())]
    for connection in [store._readers._here, *idle]:
        connection.set_trace_callback(statements.append)
    for connection in idle:
        store._readers._idle.put(connection)
    found: dict[str, list[str]] = {}
    for name, call in list_calls(store, past).items():
        statements.clear()
        await call()
        found[name] = [sql for sql in statements if not sql.startswith(("BEGIN", "COMMIT"))]
    await store.close()
    return found


async def test_sqlite_walks_an_index(sqlite_calls: dict[str, list[str]], tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "hookline.db")
    faults = []
    for name, statements in sqlite_calls.items():
        assert statements, name
        for sql in statements:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
            faults += [f"{name}: {step}\n{sql}" for step in plan if _is_bad_step(step)]
    connection.close()
    assert not faults, "\n\n".join(faults)


def _is_bad_step(step: str) -> bool:
    if "TEMP B-TREE" in step:
        return True
    table = re.match(r"(SCAN|SEARCH) (\w+)", step)
    if table is None or table[2] not in {*BIG, "m", "t", "p"}:
        return False
    if WHOLE_INDEX in step:
        return False
    return table[1] == "SCAN" or GOOD_RANGE.search(step) is None


@pytest.mark.parametrize(
    "step",
    [
        "SCAN hookline_messages",
        "SCAN m USING INDEX sqlite_autoindex_hookline_messages_1",
        "SEARCH t USING INDEX hookline_attempts_endpoint (id>?)",
        "SEARCH t USING INDEX hookline_attempts_endpoint (endpoint_id=?)",
        "SEARCH m USING INDEX sqlite_autoindex_hookline_messages_1 (app_id=?)",
        "USE TEMP B-TREE FOR ORDER BY",
        "SEARCH p USING AUTOMATIC COVERING INDEX (kind=?)",
    ],
)
def test_bad_steps_are_seen(step: str) -> None:
    assert _is_bad_step(step)


# --- PostgreSQL


class Recorder:
    """Stands for the pool that lists use, and notes what it is asked."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    @asynccontextmanager
    async def query(self) -> AsyncIterator[Any]:
        async with self._pool.query() as connection:
            yield _Noting(connection, self.asked)

    async def fetch(self, sql: str, *values: Any) -> Any:
        self.asked.append((sql, values))
        return await self._pool.fetch(sql, *values)

    async def close(self) -> None:
        await self._pool.close()


class _Noting:
    def __init__(self, connection: Any, asked: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._connection = connection
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def call(sql: str, *values: Any) -> Any:
            self._asked.append((sql, values))
            return await method(sql, *values)

        return call


@pytest.fixture
async def postgres_calls(
    postgres_server: PostgresServer,
) -> AsyncIterator[tuple[str, dict[str, list[tuple[str, tuple[Any, ...]]]], Past]]:
    database = postgres_server.create_database()
    url = postgres_server.dsn(database)
    store = create_store(url, key_ring=KEY_RING)
    await store.migrate()
    await store.open(engine=True)
    past = await fill(store, url, messages=20_000, now_ms=NOW_MS, payload_bytes=400)
    recorder = Recorder(store._reads)
    store._reads = recorder
    found = {}
    for name, call in list_calls(store, past).items():
        recorder.asked.clear()
        await call()
        found[name] = list(recorder.asked)
    await store.close()
    yield database, found, past
    postgres_server.drop_database(database)


async def test_postgres_walks_an_index(postgres_server: PostgresServer, postgres_calls: Any) -> None:
    database, calls, _ = postgres_calls
    settings = "".join(f"SET {name} = '{value}'; " for name, value in INDEX_ONLY.items())
    names = {sql: name for name, asked in calls.items() for sql, _ in asked}
    assert all(calls.values())
    faults = []
    for sql, name in names.items():
        answer = postgres_server.execute(f"{settings} EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}", dbname=database)
        faults += [f"{name}: {fault}\n{sql}" for fault in find_faults(json.loads(answer)[0]["Plan"])]
    assert not faults, "\n\n".join(faults)


async def test_lists_are_planned_for_any_values(postgres_dsn: str) -> None:
    """What was looked at above is what runs: a plan for the values at hand may trust numbers that are out of date."""
    store = create_store(postgres_dsn, key_ring=KEY_RING)
    shown = {name: await store._reads.fetch_value(f"SHOW {name}") for name in INDEX_ONLY}
    await store.close()
    assert shown == INDEX_ONLY


def find_faults(node: dict[str, Any]) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    if kind in {"Sort", "Incremental Sort", "Hash"}:
        yield f"{kind} on {node.get('Sort Key')}"
    if "hashed SubPlan" in json.dumps({key: value for key, value in node.items() if key != "Plans"}):
        yield f"a hash of a subquery in {node.get('Filter')}"
    if table.startswith(BIG) and node.get("Index Name") != WHOLE_INDEX:
        condition = node.get("Index Cond", "")
        if kind not in {"Index Scan", "Index Only Scan"}:
            yield f"{kind} on {table}"
        elif not GOOD_CONDITION.search(condition) and not table.startswith("hookline_pending"):
            yield f"{kind} on {table} by {condition or 'nothing'}"
    for child in node.get("Plans", ()):
        yield from find_faults(child)


def test_bad_nodes_are_seen() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "hookline_messages_w2900"}
    walk = {"Node Type": "Index Scan", "Relation Name": "hookline_attempts_rest", "Index Name": "some"}
    good = {**walk, "Index Cond": "((endpoint_id = $1) AND (id > $2))"}
    assert [list(find_faults(node)) != [] for node in (scan, walk, good)] == [True, True, False]
    assert list(find_faults({"Node Type": "Sort", "Sort Key": ["id"], "Plans": [good]}))
    assert list(find_faults({**good, "Filter": "(NOT (hashed SubPlan 1))"}))
