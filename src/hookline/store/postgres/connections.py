"""Connections to PostgreSQL: small fixed pools that lose connections and get new ones, without anybody's help.

    empty ──somebody needs it──> connecting ──> idle <──> in use
      ^                              └──refused──> empty (the server rests: everybody fails fast until then)
      └──────────────── connection lost, timed out, or its work was cancelled

Each kind of work has a pool of its own, so that a slow list never delays a commit or the renewal of a lease. A
connection whose work failed is rolled back; one that may be in an unknown state is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import msgspec

from hookline.store.errors import MigrationError, StoreUnavailableError
from hookline.store.postgres.failures import DRIVER_ERRORS, is_connection_loss, to_store_error

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

OLDEST_SERVER: Final = 14
CONNECT_TIMEOUT_S: Final = 5.0
ROLLBACK_TIMEOUT_S: Final = 2.0
WAIT_FOR_CONNECTION_S: Final = 10.0
FIRST_REST_S: Final = 0.05  # how long a server that refused us is left alone; doubles
LONGEST_REST_S: Final = 1.0

# The tables of the engine are empty one minute and have a million rows the next, so what the planner knows of them is
# always wrong. All their queries are meant to walk an index; that is what these leave it.
INDEX_ONLY: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
COMMON: Final = {
    "jit": "off",
    # A node that freezes within a transaction must not hold its fence for longer than this.
    "idle_in_transaction_session_timeout": "15s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class Address(msgspec.Struct, frozen=True):
    """Where the server is. `?pgbouncer=true` in the URL: no prepared statements, no session state, no LISTEN."""

    dsn: str
    pgbouncer: bool

    @classmethod
    def from_url(cls, url: str) -> Address:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True)
        flag = dict(options).get("pgbouncer", "false").lower() in {"1", "true", "yes", "on"}
        query = urlencode([(name, value) for name, value in options if name != "pgbouncer"])
        return cls(urlunsplit(parts._replace(query=query)), flag)

    def __repr__(self) -> str:
        return f"Address({urlsplit(self.dsn).hostname}, pgbouncer={self.pgbouncer})"  # never the password

    __str__ = __repr__


class Server:
    """Opens connections, and leaves a server that refuses them alone for a moment."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._rest_s = FIRST_REST_S
        self._rests_until_s = 0.0

    async def connect(self, settings: Mapping[str, str], *, timeout_s: float) -> Connection:
        """Open a connection; `timeout_s` bounds each statement on it.

        Raises:
            StoreUnavailableError: the server does not accept us.
            MigrationError: the server is too old.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._rests_until_s:
            raise StoreUnavailableError("PostgreSQL refused the last connection; trying again in a moment")
        try:
            connection = await asyncpg.connect(
                self.address.dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=timeout_s,
                statement_cache_size=0 if self.address.pgbouncer else 200,
                max_cached_statement_lifetime=0,
                server_settings=None if self.address.pgbouncer else {"application_name": "hookline", **settings},
            )
        except DRIVER_ERRORS as error:
            # Failure policy: closed, and fast. Everybody who asks within the rest is told at once.
            self._rests_until_s = loop.time() + self._rest_s
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
            raise StoreUnavailableError(f"PostgreSQL cannot be reached ({type(error).__name__}: {error})") from error
        self._rest_s = FIRST_REST_S
        major = connection.get_server_version().major
        if major < OLDEST_SERVER:
            connection.terminate()
            raise MigrationError(f"PostgreSQL {major} is too old; Hookline needs {OLDEST_SERVER} or newer")
        return connection


class Pool:
    """At most `size` connections for one kind of work. Timeouts bound a statement and the wait for a lock."""

    def __init__(
        self,
        server: Server,
        size: int,
        *,
        statement_timeout_s: float,
        lock_timeout_s: float,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._server = server
        self._settings = {
            **COMMON,
            "statement_timeout": f"{round(statement_timeout_s * 1000)}",
            "lock_timeout": f"{round(lock_timeout_s * 1000)}",
            **(settings or {}),
        }
        # Ours fires after the server's own: a server that still answers tells us better what happened.
        self._timeout_s = statement_timeout_s + 5.0
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(size)
        self._closed = False
        # Behind PgBouncer, settings and unnamed statements last for one transaction only.
        self._bounced = server.address.pgbouncer
        local = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in self._settings.items())
        self.begin = f"BEGIN{local}" if self._bounced else "BEGIN"

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Connection]:
        """Use a connection, outside of any transaction. Errors leave it clean, and leave here translated."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            await self._clean(connection, error)
            translated = to_store_error(error)
            if translated is error:
                raise
            raise translated from error
        finally:
            self._give_back(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Begin, let the caller work, commit. READ COMMITTED."""
        async with self.lease() as connection:
            await connection.execute(self.begin)
            yield connection
            await connection.execute("COMMIT")

    @asynccontextmanager
    async def query(self) -> AsyncIterator[Connection]:
        """For single statements: a transaction only where there must be one."""
        if self._bounced:
            async with self.transaction() as connection:
                yield connection
        else:
            async with self.lease() as connection:
                yield connection

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.query() as connection:
            return await connection.fetch(sql, *arguments)

    async def fetch_row(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        async with self.query() as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetch_value(self, sql: str, *arguments: Any) -> Any:
        async with self.query() as connection:
            return await connection.fetchval(sql, *arguments)

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closed = True
        while self._idle:
            await close_quietly(self._idle.pop())

    async def _take(self) -> Connection:
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if self._free.locked():
            try:
                async with asyncio.timeout(WAIT_FOR_CONNECTION_S):
                    await self._free.acquire()
            except TimeoutError as error:
                raise StoreUnavailableError("all connections to PostgreSQL are busy; try again") from error
        else:
            await self._free.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await self._server.connect(self._settings, timeout_s=self._timeout_s)
        except BaseException:
            self._free.release()
            raise

    def _give_back(self, connection: Connection) -> None:
        if self._closed:
            connection.terminate()
        elif not connection.is_closed():
            self._idle.append(connection)
        self._free.release()

    async def _clean(self, connection: Connection, error: BaseException) -> None:
        if connection.is_closed():
            return
        if isinstance(error, TimeoutError) or is_connection_loss(error):
            connection.terminate()
            return
        if not connection.is_in_transaction():
            return
        try:
            await connection.execute("ROLLBACK", timeout=ROLLBACK_TIMEOUT_S)
        except DRIVER_ERRORS:
            # Failure policy: the server rolls back what a vanished connection had begun.
            connection.terminate()


async def close_quietly(connection: Connection) -> None:
    """Say goodbye; or just hang up when the server does not listen."""
    try:
        await connection.close(timeout=ROLLBACK_TIMEOUT_S)
    except DRIVER_ERRORS:
        connection.terminate()
