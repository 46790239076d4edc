"""The databases under measurement, durable as in production, and how the books are read from them.

They are read from outside the server, by a connection of our own, so that the ledger does not rest on what the server
says of itself.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SQLITE = "sqlite"
POSTGRES = "postgres"
KINDS = (SQLITE, POSTGRES)

# Beside PostgreSQL's defaults (fsync, full_page_writes and synchronous_commit stay on): room for checkpoints that are
# spread out, as any installation under such a load is given.
POSTGRES_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB"}


class Database(Protocol):
    """A fresh, empty database. `pid` is its own server's process, or None if it has none."""

    url: str

    @property
    def pid(self) -> int | None: ...

    def select(self, sql: str) -> list[tuple[str, ...]]:
        """The rows of a query, each value as text."""
        ...


class SqliteDatabase:
    """One file; the server is its only writer."""

    pid: int | None = None

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path

    def select(self, sql: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            return [tuple(str(value) for value in row) for row in connection.execute(sql)]


class PostgresDatabase:
    """A PostgreSQL server of its own, over TCP."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._name = server.create_database()
        self.url = server.dsn(self._name)
        self.pid: int | None = server.pid

    def select(self, sql: str) -> list[tuple[str, ...]]:
        return [tuple(line.split("|")) for line in self._server.execute(sql, dbname=self._name).splitlines()]


def open_database(kind: str, directory: Path) -> AbstractContextManager[Database]:
    """A database of a kind for as long as the `with` block lasts."""
    return _open_postgres() if kind == POSTGRES else _open_sqlite(directory)


@contextmanager
def _open_sqlite(directory: Path) -> Iterator[Database]:
    yield SqliteDatabase(directory / "bench.db")


@contextmanager
def _open_postgres() -> Iterator[Database]:
    with PostgresServer(settings=POSTGRES_SETTINGS) as server:
        yield PostgresDatabase(server)
