"""Every test of this folder that asks for `rig` runs against each database there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hookline.store import create_store
from integration.engine.rig import KEY_RING, Rig
from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """Apply the schema once; every test's database is a copy."""
    name = postgres_server.create_database()

    async def migrate() -> None:
        store = create_store(postgres_server.dsn(name), key_ring=KEY_RING)
        await store.migrate()
        await store.close()

    asyncio.run(migrate())
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return request.getfixturevalue("postgres_dsn")
    return f"sqlite:///{tmp_path}/hookline.db"


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    rig = Rig(database_url)
    await rig.open()
    yield rig
    await rig.close()
