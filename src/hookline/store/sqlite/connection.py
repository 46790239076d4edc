"""How a SQLite connection is opened here, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Final

from hookline.store.errors import StoreError, StoreFullError, StoreUnavailableError

MEMORY: Final = ":memory:"
OLDEST_VERSION: Final = (3, 35, 0)  # RETURNING
CACHE_KIB: Final = 32_768
OPENING_WAIT_S: Final = 5.0  # another process may just be recovering or closing the file
CACHED_STATEMENTS: Final = 256

_FULL_CODES: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


def connect(path: str, *, wait_s: float, read_only: bool = False, checkpoints: bool = False) -> sqlite3.Connection:
    """Open a connection in autocommit mode: transactions begin and end where we say.

    `wait_s` is how long a statement may block its thread for another process's lock. `checkpoints` leaves SQLite's
    automatic ones on.

    Raises:
        StoreUnavailableError: there is no such directory, no permission, or the file is not a database.
    """
    if sqlite3.sqlite_version_info < OLDEST_VERSION:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old; Hookline needs 3.35 or later", code="sqlite_too_old"
        )
    _make_private(path)
    try:
        connection = sqlite3.connect(
            path,
            timeout=OPENING_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
        )
    except sqlite3.Error as error:
        raise translate(error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if not checkpoints:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA busy_timeout = {round(wait_s * 1000)}")
    except sqlite3.Error as error:
        connection.close()
        raise translate(error) from error
    return connection


def _make_private(path: str) -> None:
    """Make a new file readable for its owner alone: it will hold customers' payloads. SQLite gives its log and its
    index the same permissions. A file that exists keeps what its owner chose.
    """
    if path == MEMORY:
        return
    with suppress(OSError):  # no such directory, no permission, there already: SQLite itself says what matters
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock that the statement needs. Extended codes count as their primary one."""
    return _code(error) & 0xFF == sqlite3.SQLITE_BUSY


def translate(error: sqlite3.Error) -> StoreError:
    """SQLite's error as one of ours."""
    code = _code(error)
    if code in _FULL_CODES:
        return StoreFullError(f"the disk of the database is full ({error}); make space, it goes on by itself")
    if isinstance(error, sqlite3.IntegrityError):
        return StoreError(f"the database refused a row ({error}); this is a defect of Hookline", code="constraint")
    if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.ProgrammingError | sqlite3.DataError | sqlite3.InternalError
    ):
        return StoreUnavailableError(f"SQLite cannot do it now ({error}); check the file, its directory and its disk")
    return StoreError(f"SQLite did not understand ({error}); this is a defect of Hookline", code="database_misuse")


def _code(error: sqlite3.Error) -> int:
    # Errors that the module itself raises (a closed connection) have no code.
    return getattr(error, "sqlite_errorcode", 0) or 0
