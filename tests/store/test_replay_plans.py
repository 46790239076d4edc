"""What a page of a task costs does not grow with the tables: each plan goes from the page to what belongs to it."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import asyncpg
import pytest

from hookline.store import create_store
from hookline.store.postgres.connections import INDEX_ONLY
from hookline.store.queries import load_queries
from store.conftest import KEY_RING

SQLITE = load_queries("sqlite", "replays")
POSTGRES = load_queries("postgres", "replays")
VALUES = {
    "app_id": "app_1", "org_id": "org_1", "after": "msg_", "to_id": "msg_~", "since_ms": 0, "until_ms": 1, "limit": 500,
    "most": 9, "endpoint_id": "ep_1", "ids": '["msg_1"]', "now_ms": 1, "kind": "manual",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SQLITE))
async def test_sqlite_searches_and_never_scans(name: str, tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path}/hookline.db", key_ring=KEY_RING)
    await store.migrate()
    await store.close()
    connection = sqlite3.connect(tmp_path / "hookline.db")
    try:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQLITE[name]}", VALUES)]
    finally:
        connection.close()
    pages = {line.removeprefix("CO-ROUTINE ") for line in plan if line.startswith("CO-ROUTINE ")}
    scanned = {line.split()[1] for line in plan if line.startswith("SCAN ")} - pages
    assert scanned <= {"wanted", "(subquery-1)"}, plan
    for line in plan:
        if line.startswith("SEARCH t "):
            assert "(message_id=?" in line, plan


async def test_postgres_goes_from_the_page_to_its_rows_also_when_it_thinks_that_there_are_none(
    postgres_dsn: str,
) -> None:
    store = create_store(postgres_dsn, key_ring=KEY_RING)
    await store.migrate()
    await store.close()
    connection = await asyncpg.connect(postgres_dsn, server_settings=dict(INDEX_ONLY))
    try:
        await connection.execute("ANALYZE")
        await connection.execute(f"PREPARE standing AS {POSTGRES['list_standing']}")
        plan = [row[0].strip() for row in await connection.fetch("EXPLAIN EXECUTE standing(ARRAY['msg_1'], 'ep_1')")]
    finally:
        await connection.close()
    conditions = [
        plan[number + 1] for number, line in enumerate(plan) if re.search(r"Scan .*hookline_(attempts|pending)", line)
    ]
    assert len(conditions) >= 2
    assert all("message_id = " in condition for condition in conditions), plan
