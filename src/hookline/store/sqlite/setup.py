"""What happens once, before the work: schema changes, and the encryption key. All of it blocks; it runs in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hookline.store.errors import KeyCheckError
from hookline.store.migrations import Applied, find_missing, list_migrations, require_current
from hookline.store.queries import load_queries
from hookline.store.sealing import CHECK_NAME, KeyRing
from hookline.store.sqlite import jobs, tasks
from hookline.store.sqlite.connection import translate
from hookline.store.sqlite.keyfile import load_key_ring, load_or_create_key_ring

DATABASE = "sqlite"
WAIT_MS = 10_000  # for another process that is setting up the same file

_SQL = load_queries(DATABASE, "schema")


def migrate(connection: sqlite3.Connection, now_ms: int) -> list[str]:
    """Apply what is missing, in one transaction; the names of what was applied.

    Raises:
        MigrationError: see `find_missing`.
    """
    with _transaction(connection):
        connection.execute(_SQL["create_migrations"])
        missing = find_missing(list_migrations(DATABASE), _list_applied(connection))
        for migration in missing:
            for statement in split_statements(migration.sql):
                connection.execute(statement)
            row = (migration.version, migration.name, migration.checksum, now_ms)
            connection.execute(_SQL["record_migration"], row)
    return [f"{migration.version:04d}_{migration.name}" for migration in missing]


def require_schema(connection: sqlite3.Connection) -> None:
    """Refuse a database whose schema is not this program's.

    Raises:
        MigrationError: too old or too new.
    """
    try:
        known = connection.execute(_SQL["has_migrations"]).fetchone()
        applied = _list_applied(connection) if known else []
    except sqlite3.Error as error:
        raise translate(error) from error
    require_current(list_migrations(DATABASE), applied)


def end_leases(connection: sqlite3.Connection) -> None:
    """End the leases of all nodes: who holds the engine's lock knows that no other engine lives, so what they owed can
    be rescued at once and need not wait for their leases to run out.
    """
    with _transaction(connection):
        connection.execute(_SQL["end_leases"])
        tasks.end_leases(connection)
        jobs.end_leases(connection)


def unlock(connection: sqlite3.Connection, given: KeyRing | None, key_path: Path | None) -> tuple[KeyRing, bool]:
    """Find the key ring and check it against the database; true when a key file was made.

    Without a given ring the one in `key_path` counts, and is made there if the database has never seen a key; without
    a path (in memory) it lives as long as the database.

    Raises:
        KeyCheckError: the key is missing or is another one.
    """
    created = False
    with _transaction(connection):
        row = connection.execute(_SQL["find_meta"], (CHECK_NAME,)).fetchone()
        if given is not None:
            ring = given
        elif key_path is None:
            ring = KeyRing.generate()
        elif row is None:
            ring, created = load_or_create_key_ring(key_path)
        else:
            found = load_key_ring(key_path)
            if found is None:
                # Failure policy: closed. A new key would open nothing of what is sealed.
                raise KeyCheckError(
                    f"the encryption key {key_path} is gone; restore it, or give HOOKLINE_ENCRYPTION_KEY"
                )
            ring = found
        if row is None or not ring.verify_check(row[0]):
            connection.execute(_SQL["set_meta"], (CHECK_NAME, ring.make_check()))
    return ring, created


def split_statements(sql: str) -> Iterator[str]:
    """Cut a script into statements. SQLite itself says where one ends, so strings and triggers are safe."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE with patience, then COMMIT or ROLLBACK; SQLite's errors become ours."""
    try:
        connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("PRAGMA busy_timeout = 0")
    except sqlite3.Error as error:
        raise translate(error) from error


def _list_applied(connection: sqlite3.Connection) -> list[Applied]:
    return [Applied(*row) for row in connection.execute(_SQL["list_applied"])]
