"""Wake-ups: our own commits announce themselves, those of other processes are noticed.

SQLite tells nobody anything, but `PRAGMA data_version` on a connection changes when any other one has committed, and
asking costs microseconds. Which row changed it does not say, so listeners get «resync» and «outbox».
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

from hookline.store.errors import StoreError
from hookline.store.sqlite.writer import Writer

log = logging.getLogger("hookline.store.watching")

LOOK_EVERY_S = 0.2

Listener = Callable[[str, str], None]


class Watcher:
    """Runs from `start` to `stop`. Asks on the writer's connection: that one does not see its own commits."""

    def __init__(self, writer: Writer, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._writer = writer
        self._look_every_s = look_every_s
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def announce(self, kind: str, identifier: str = "") -> None:
        for listener in self._listeners:
            listener(kind, identifier)

    async def start(self) -> None:
        version = await self._writer.read(_data_version)
        self._task = asyncio.create_task(self._watch(version), name="sqlite-watcher")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _watch(self, version: int) -> None:
        seen = version
        while True:
            await asyncio.sleep(self._look_every_s)
            if not self._listeners:
                continue
            try:
                now = await self._writer.read(_data_version)
            except StoreError as error:
                # Failure policy: open. Hints only: pollers find the work, a little later.
                log.warning("cannot look for changes", extra={"action": "watch_failed", "reason": error.message})
                continue
            if now != seen:
                seen = now
                self.announce("resync")
                self.announce("outbox")


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)
