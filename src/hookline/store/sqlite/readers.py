"""Connections that read: a few in threads for lists, one on the event loop's thread for what is asked all the time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from hookline.store.errors import StoreUnavailableError
from hookline.store.sqlite.connection import connect, is_busy, translate

T = TypeVar("T")

THREADS = 2
WAIT_S = 5.0  # only while another process recovers or closes the file: readers wait for no writer


class Readers:
    """Each `run` sees the database as of one moment."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hookline-sqlite-reader")
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._here: sqlite3.Connection | None = None

    def connect(self) -> None:
        """Open all connections. Blocks: for use while the store opens."""
        for _ in range(THREADS):
            self._idle.put(connect(self._path, wait_s=WAIT_S, read_only=True))
        self._here = connect(self._path, wait_s=0, read_only=True)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a thread."""
        if self._here is None:
            raise StoreUnavailableError("the database is not open; call open() first")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def run_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, a few look-ups by key, at once; in a thread if the file is locked at this moment."""
        if self._here is not None:
            try:
                return work(self._here)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise translate(error) from error
        return await self.run(work)

    def close(self) -> None:
        """Wait for what runs, then close everything."""
        self._threads.shutdown(wait=True)
        while not self._idle.empty():
            self._idle.get().close()
        if self._here is not None:
            self._here.close()
            self._here = None

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._idle.get()
        try:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            self._idle.put(connection)
