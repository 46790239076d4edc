"""Every test of this folder that asks for `store` or `world` runs against each database there is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hookline.store import KeyRing, Store, create_store
from support.postgres import PostgresServer
from support.store import World

KEY_RING = KeyRing.from_text("k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")


class Database:
    """A store, and a way around it: what is really in the tables."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.store: Store = create_store(url, key_ring=KEY_RING)

    async def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        if self.name == "memory":
            return await self.store._writer.run(lambda c: c.execute(sql).fetchall())
        if self.name == "sqlite":
            connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def value(self, sql: str) -> Any:
        rows = await self.fetch(sql)
        return rows[0][0]

    async def count(self, table: str, where: str = "1 = 1") -> int:
        return await self.value(f"SELECT count(*) FROM hookline_{table} WHERE {where}")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """Apply the schema once; every test's database is a copy."""
    name = postgres_server.create_database()

    async def migrate() -> None:
        store = create_store(postgres_server.dsn(name), key_ring=KEY_RING)
        await store.migrate()
        await store.close()

    # In a thread of its own: this one runs the event loop of the test that asks first.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate())).result()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "memory", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = {"sqlite": f"sqlite:///{tmp_path}/hookline.db", "memory": "sqlite:///:memory:"}.get(request.param)
    database = Database(request.param, url or request.getfixturevalue("postgres_dsn"))
    await database.store.migrate()
    await database.store.open(engine=True)
    yield database
    await database.store.close()


@pytest.fixture
def store(database: Database) -> Store:
    return database.store


@pytest.fixture
async def world(store: Store) -> World:
    return await World(store).build()
