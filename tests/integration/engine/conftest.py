"""Every test of this folder that asks for `rig` runs against each database there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hookline.store import create_store
from integration.engine.rig import KEY_RING, Rig
from support.postgres import PostgresServer

TABLES = (
    "applications endpoints messages fanouts message_keys batches pending freed_keys lanes attempts nodes outbox "
    "endpoint_health leaders"
)


@pytest.fixture(scope="session")
def engine_database(postgres_server: PostgresServer) -> Iterator[str]:
    """One database with the schema for all tests of this worker: emptying it is quicker than making another."""
    name = postgres_server.create_database()

    async def migrate() -> None:
        store = create_store(postgres_server.dsn(name), key_ring=KEY_RING)
        await store.migrate()
        await store.close()

    asyncio.run(migrate())
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return request.getfixturevalue("engine_database")
    return f"sqlite:///{tmp_path}/hookline.db"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    rig = Rig(database_url)
    if database_url.startswith("postgres"):
        await rig.execute("".join(f"DELETE FROM hookline_{table};" for table in TABLES.split()))
    await rig.open()
    yield rig
    await rig.close()
