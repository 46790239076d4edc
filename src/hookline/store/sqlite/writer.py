"""The one connection that writes.

    idle ──run──> locked (asyncio) ──BEGIN IMMEDIATE──> writing (this thread) ──COMMIT in a thread──> idle
                                      └──busy: wait asynchronously, try again; too long: unavailable

Statements run on the event loop's thread, where they are cheapest: handing rows to another thread costs more than
inserting them. Only COMMIT waits for the disk, so only COMMIT has a thread; the loop goes on meanwhile, and whoever
comes next waits for the lock. Long house-keeping runs in that thread as a whole.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from hookline import crashpoints
from hookline.store.errors import StoreUnavailableError
from hookline.store.sqlite.connection import connect, is_busy, translate

T = TypeVar("T")

# Waits for another process's transaction: first, longest single one, all together.
FIRST_WAIT_S, LONGEST_WAIT_S, PATIENCE_S = 0.001, 0.05, 10.0


class Writer:
    """Runs functions of a connection, one transaction each. `changes` counts rows written, for whoever checkpoints."""

    def __init__(self, path: str, *, patience_s: float = PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s
        self._connection: sqlite3.Connection | None = None
        self._lock = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._open = False
        self._checkpoints = False
        self.restart_wanted = False
        self.changes = 0

    def connect(self, *, checkpoints: bool) -> sqlite3.Connection:
        """Open the connection, or give the open one. Blocks: for use while the store opens."""
        if self._connection is None:
            self._open, self._checkpoints = True, checkpoints
            self._connection = connect(self._path, wait_s=0, checkpoints=checkpoints)
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="hookline-sqlite-writer")
        return self._connection

    async def run(self, work: Callable[[sqlite3.Connection], T], *, in_thread: bool = False) -> T:
        """Do `work` in one transaction. Whatever it raises undoes it.

        Raises:
            StoreFullError, StoreUnavailableError: nothing was kept.
        """
        async with self._lock:
            connection = self._usable()
            await self._begin(connection)
            try:
                before = connection.total_changes
                result = await self._in_thread(partial(work, connection)) if in_thread else work(connection)
                written = connection.total_changes - before
                if written:
                    crashpoints.reach("before_commit")
                    await self._in_thread(partial(connection.execute, "COMMIT"))
                    crashpoints.reach("after_commit")
                    self.changes += written
                else:
                    connection.execute("COMMIT")
            except sqlite3.Error as error:
                # Failure policy: closed. The caller is told, and the file is as it was before.
                self._roll_back(connection)
                raise translate(error) from error
            except BaseException:
                self._roll_back(connection)
                raise
            if self.restart_wanted:
                await self._restart_wal(connection)
            return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` between transactions, without one."""
        async with self._lock:
            try:
                return work(self._usable())
            except sqlite3.Error as error:
                raise translate(error) from error

    async def close(self) -> None:
        async with self._lock:
            self._open = False
            if self._connection is not None:
                await self._in_thread(self._connection.close)
                self._connection = None
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _usable(self) -> sqlite3.Connection:
        if not self._open:
            raise StoreUnavailableError("the database is not open; call open() first")
        return self._connection or self.connect(checkpoints=self._checkpoints)

    async def _begin(self, connection: sqlite3.Connection) -> None:
        ends_at = asyncio.get_running_loop().time() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise translate(error) from error
                if asyncio.get_running_loop().time() >= ends_at:
                    raise StoreUnavailableError(
                        "another process keeps writing to the database; end its transaction, then try again"
                    ) from error
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                return

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Undo, and make sure of it: SQLite has rolled back by itself after some errors, and not after others."""
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if not connection.in_transaction:
                return
        # A connection that cannot roll back is given up; the next one finds the file as the last COMMIT left it.
        self._connection = None
        with suppress(sqlite3.Error):
            connection.close()

    async def _restart_wal(self, connection: sqlite3.Connection) -> None:
        """Between two transactions, after a passive checkpoint: make the log begin at its start again."""
        self.restart_wanted = False
        # Failure policy: open. A reader that still needs the log makes this a no-op; the log grows until next time.
        with suppress(sqlite3.Error):
            await self._in_thread(lambda: connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run in the writer's thread, to its end even if the caller is cancelled: it uses the connection until then."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            raise
