"""From a database URL to the store behind it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from hookline.clock import Clock, SystemClock
from hookline.store.errors import StoreError
from hookline.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from hookline.store.protocol import Store
    from hookline.store.sealing import KeyRing

SQLITE_PREFIX = "sqlite:///"
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})


def create_store(database_url: str, *, key_ring: KeyRing | None, clock: Clock | None = None) -> Store:
    """Make a store, not yet open.

    `sqlite:///relative.db`, `sqlite:////absolute.db` and `sqlite:///:memory:` without a key ring keep a generated key
    beside the file (in memory: for as long as it lives). `postgresql://...` needs a key ring; `clock` is for SQLite,
    which has none of its own: PostgreSQL's leases run on its server's clock.

    Raises:
        KeyCheckError: PostgreSQL without a key ring.
        StoreError: a URL of another kind, or PostgreSQL without its driver.
    """
    if database_url.startswith(SQLITE_PREFIX) and len(database_url) > len(SQLITE_PREFIX):
        return SqliteStore(database_url.removeprefix(SQLITE_PREFIX), key_ring=key_ring, clock=clock or SystemClock())
    if urlsplit(database_url).scheme in POSTGRES_SCHEMES:
        try:
            postgres = importlib.import_module("hookline.store.postgres")
        except ImportError as error:
            raise StoreError(
                "PostgreSQL needs the package asyncpg; install hookline[postgres]", code="driver_missing"
            ) from error
        return cast("Store", postgres.PostgresStore(database_url, key_ring=key_ring))
    raise StoreError(
        "the database URL must begin with sqlite:/// (and a path) or postgresql://", code="database_url_invalid"
    )
