"""What went wrong, in the store's own words: from the driver's and the server's errors to `StoreError`.

Three kinds matter to callers: the database is away (try later, nothing was kept), the disk is full, and contention
(this very transaction may be tried again at once). Anything else is a mistake in our SQL or in a value, and is
passed on as it is, so that the engine can find the row that causes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from hookline.store.errors import StoreError, StoreFullError, StoreUnavailableError

CONTENTION_TRIES: Final = 8
FIRST_CONTENTION_PAUSE_S: Final = 0.005

# SQLSTATE classes (two characters) and codes. PostgreSQL documentation, appendix A.
_FULL: Final = frozenset({"53100"})
_CONTENDED: Final = frozenset({"40001", "40P01"})
_UNAVAILABLE_CLASSES: Final = frozenset({"08", "28", "53", "57", "58"})
_UNAVAILABLE: Final = frozenset({"25006", "25P03", "25P04", "3D000", "55P03"})

#: What the driver raises when a server refuses us, goes away, or says no. (InternalClientError: the connection was
#: lost between two statements, and the driver noticed only that its state does not fit.)
DRIVER_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

T = TypeVar("T")


class ContentionError(StoreUnavailableError):
    """Two transactions were in each other's way and this one gave in. Nothing was kept; try it again."""

    code = "database_contention"


def is_connection_loss(error: BaseException) -> bool:
    """Whether the connection that raised this cannot be trusted any more."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # A read-only server was the primary before a fail-over: the next connection finds the new one.
        return state[:2] in {"08", "57"} or state in {"25006", "25P03", "25P04"}
    return isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)) or not isinstance(
        error, Exception
    )


def to_store_error(error: BaseException) -> BaseException:
    """The error that callers should see; the same one when it is none of the database's."""
    if isinstance(error, StoreError) or not isinstance(error, Exception):
        return error
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return ContentionError("the schema changed under a prepared statement; try again")
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state in _FULL:
            return StoreFullError("the disk of the PostgreSQL server is full; make room, nothing was kept")
        if state in _CONTENDED:
            return ContentionError("another transaction was in the way; try again")
        if state[:2] in _UNAVAILABLE_CLASSES or state in _UNAVAILABLE:
            return StoreUnavailableError(f"PostgreSQL does not serve us now ({error.sqlstate}: {error}); try again")
        return error
    if isinstance(error, TimeoutError):
        return StoreUnavailableError("PostgreSQL did not answer in time; try again")
    if isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return StoreUnavailableError(
            f"the connection to PostgreSQL is lost ({type(error).__name__}: {error}); try again"
        )
    return error


async def retry_contention(work: Callable[[], Awaitable[T]]) -> T:
    """Do a transaction again, a bounded number of times, when it had to give way to another one."""
    pause_s = FIRST_CONTENTION_PAUSE_S
    for _ in range(CONTENTION_TRIES - 1):
        try:
            return await work()
        except ContentionError:
            await asyncio.sleep(pause_s)
            pause_s *= 2
    # Failure policy: closed. Who loses this often is told that the database is unavailable; nothing was kept.
    return await work()
