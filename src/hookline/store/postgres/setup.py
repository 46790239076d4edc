"""What happens once, before the work: schema changes, and the encryption key."""

from __future__ import annotations

from typing import Final

from hookline.store.errors import KeyCheckError
from hookline.store.migrations import Applied, find_missing, list_migrations, require_current
from hookline.store.postgres.connections import Connection, Pool
from hookline.store.postgres.failures import retry_contention
from hookline.store.queries import load_queries
from hookline.store.sealing import CHECK_NAME, KeyRing

DATABASE: Final = "postgres"
MIGRATION_LOCK: Final = 7_402_618_501_448_301  # any number, as long as all nodes take the same one
LONGEST_S: Final = 7 * 86_400.0  # an index on all that there is may take hours, and so may waiting for who makes it

_SQL = load_queries(DATABASE, "schema")


async def migrate(pool: Pool, now_ms: int) -> list[str]:
    """Apply what is missing, in one transaction; the names of what was applied. Many nodes may do this at once.

    Nodes that run meanwhile wait. What they use is locked before anything is changed: a node that gets in between would
    wait for us while we wait for it, and hours of work would be undone. Here nothing is lost by beginning again.

    Raises:
        MigrationError: see `find_missing`.
    """
    return await retry_contention(lambda: _migrate_once(pool, now_ms))


async def _migrate_once(pool: Pool, now_ms: int) -> list[str]:
    async with pool.transaction() as connection:
        await connection.execute("SET LOCAL lock_timeout = 0")  # another node's migration is worth waiting for
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK, timeout=LONGEST_S)
        await connection.execute(_SQL["create_migrations"])
        applied = await _list_applied(connection)
        missing = find_missing(list_migrations(DATABASE), applied)
        if applied and missing:
            await connection.execute(_SQL["lock_tables"], timeout=LONGEST_S)
        for migration in missing:
            await connection.execute(migration.sql, timeout=LONGEST_S)
            row = (migration.version, migration.name, migration.checksum, now_ms)
            await connection.execute(_SQL["record_migration"], *row)
    return [f"{migration.version:04d}_{migration.name}" for migration in missing]


async def require_schema(pool: Pool) -> None:
    """Refuse a database whose schema is not this program's.

    Raises:
        MigrationError: too old or too new.
    """
    async with pool.query() as connection:
        known = await connection.fetchval(_SQL["has_migrations"])
        applied = await _list_applied(connection) if known else []
    require_current(list_migrations(DATABASE), applied)


async def check_key(pool: Pool, key_ring: KeyRing) -> None:
    """Compare the key with the one that the database was written with; the first node writes the check.

    Raises:
        KeyCheckError: it is another one.
    """
    async with pool.transaction() as connection:
        stored = await connection.fetchval(_SQL["find_meta"], CHECK_NAME)
        if stored is None:
            await connection.execute(_SQL["add_meta"], CHECK_NAME, key_ring.make_check())
            stored = await connection.fetchval(_SQL["find_meta"], CHECK_NAME)
        if not key_ring.verify_check(stored):
            await connection.execute(_SQL["set_meta"], CHECK_NAME, key_ring.make_check())


def require_key_ring(key_ring: KeyRing | None) -> KeyRing:
    """Refuse to run without a key: every node needs the same one, so none can make it up.

    Raises:
        KeyCheckError: there is none.
    """
    if key_ring is None:
        # Failure policy: closed. A key that one node generated would open nothing of what another one wrote.
        raise KeyCheckError("PostgreSQL needs an encryption key that all nodes share; set HOOKLINE_ENCRYPTION_KEY")
    return key_ring


async def _list_applied(connection: Connection) -> list[Applied]:
    return [Applied(*row) for row in await connection.fetch(_SQL["list_applied"])]
