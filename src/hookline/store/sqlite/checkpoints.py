"""Moves the write-ahead log into the database, beside the writer instead of inside its commits.

    asleep ──a second, and enough was written──> PASSIVE in a thread of its own ──log long──> RESTART by the writer

A passive checkpoint waits for nobody, but the log starts over only when nobody reads or writes it; under steady load
that never happens by itself. So when the log is long, the writer is asked to restart it between two transactions:
nearly everything is in the database by then, so that takes milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hookline.store.sqlite.connection import connect

if TYPE_CHECKING:
    from hookline.store.sqlite.writer import Writer

log = logging.getLogger("hookline.store.checkpoints")

# How often to look, rows written that are worth a checkpoint, and when a few rows are worth one too.
LOOK_EVERY_S, WORTHWHILE_CHANGES, AT_LATEST_S = 1.0, 2_000, 30.0
RESTART_BYTES = 64 * 1024 * 1024


class Checkpointer:
    """Runs from `start` to `stop`."""

    def __init__(self, path: str, writer: Writer, *, restart_bytes: int = RESTART_BYTES) -> None:
        self._path = path
        self._writer = writer
        self._restart_bytes = restart_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hookline-sqlite-checkpoint")
        self._task: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None

    def connect(self) -> None:
        """Open the connection. Blocks: for use while the store opens."""
        self._connection = connect(self._path, wait_s=0)

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="sqlite-checkpointer")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def checkpoint(self) -> int:
        """Do one now; the length of the log in bytes before it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._checkpoint)

    def _checkpoint(self) -> int:
        if self._connection is None:
            return 0
        (page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()
        _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        log_bytes: int = max(0, pages) * page_bytes
        if log_bytes > self._restart_bytes:
            self._writer.restart_wanted = True
        return log_bytes

    async def _watch(self) -> None:
        done, waited_s = self._writer.changes, 0.0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            written, waited_s = self._writer.changes - done, waited_s + LOOK_EVERY_S
            if written >= WORTHWHILE_CHANGES or (written and waited_s >= AT_LATEST_S):
                done, waited_s = self._writer.changes, 0.0
                try:
                    await self.checkpoint()
                except sqlite3.Error as error:
                    # Failure policy: open. Nothing is lost, the log just stays longer; the next round tries again.
                    log.warning("checkpoint failed", extra={"action": "checkpoint_failed", "reason": str(error)})
