"""Direct access to the database, for commands that work with and without a running server."""

# ruff: noqa: PLC0415 -- databases are imported when a command opens one

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hookline.cli.output import print_note

if TYPE_CHECKING:
    from hookline.server.settings import Settings
    from hookline.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Database:
    """An open store, without the engine, and the settings it was opened with."""

    settings: Settings
    store: Store
    jwt_secret: str


def read_settings(**overrides: object) -> Settings:
    """The effective settings; what the operator should know of them goes to standard error."""
    from hookline.server.environment import load_settings

    loaded = load_settings(overrides)
    for warning in loaded.warnings:
        print_note(warning)
    return loaded.settings


@asynccontextmanager
async def open_database(database_url: str | None) -> AsyncIterator[Database]:
    """Open the store beside whatever else uses it. A SQLite file that is new gets its schema."""
    from hookline.server.secrets import prepare_secrets
    from hookline.store import create_store

    settings = read_settings(database_url=database_url)
    prepared = prepare_secrets(settings)
    for notice in prepared.notices:
        print_note(notice)
    store = create_store(settings.database_url.get_secret_value(), key_ring=prepared.key_ring)
    if not settings.is_postgres:
        await store.migrate()
    try:
        await store.open(engine=False)
        yield Database(settings, store, prepared.jwt_secret)
    finally:
        await store.close()


def run_with_database(database_url: str | None, action: Callable[[Database], Awaitable[T]]) -> T:
    """Run one action on the open database and close it again."""
    import asyncio

    async def run() -> T:
        async with open_database(database_url) as database:
            return await action(database)

    return asyncio.run(run())
