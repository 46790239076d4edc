"""Wake-ups from other nodes: one connection that listens, and comes back when it is lost.

    connecting ──LISTEN──> listening ──notification──> listeners are told
        ^                      ├──silent for a while──> asked for a sign of life
        └────pause <───────────┴──lost

After every connection but the first, notifications may have been missed: listeners get `("resync", "")`. Hints only:
whoever depends on them polls too. Behind PgBouncer nothing can be heard; listeners are told to resync now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hookline.store.errors import StoreError, StoreUnavailableError
from hookline.store.postgres.base import CHANNEL
from hookline.store.postgres.connections import COMMON, Connection, Server, close_quietly
from hookline.store.postgres.failures import DRIVER_ERRORS

log = logging.getLogger("hookline.store.listening")

Listener = Callable[[str, str], None]

SIGN_OF_LIFE_S: Final = 20.0
ANSWER_TIMEOUT_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0
BLIND_RESYNC_S: Final = 2.0


class Listening:
    """`start` returns when the first LISTEN is in place, so that nothing is missed that happens afterwards."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._lost = asyncio.Event()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            StoreUnavailableError: the server does not accept us.
        """
        if self._server.address.pgbouncer:
            self._task = asyncio.create_task(self._resync_blindly(), name="hookline-resync")
        else:
            self._connection = await self._connect()
            self._task = asyncio.create_task(self._listen(self._connection), name="hookline-listen")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._hang_up()

    async def _connect(self) -> Connection:
        connection = await self._server.connect(COMMON, timeout_s=ANSWER_TIMEOUT_S)
        try:
            self._lost.clear()
            connection.add_termination_listener(lambda _: self._lost.set())
            await connection.add_listener(CHANNEL, self._heard)
        except BaseException as error:
            connection.terminate()
            if isinstance(error, DRIVER_ERRORS):
                raise StoreUnavailableError(f"PostgreSQL refused LISTEN ({error})") from error
            raise
        return connection

    async def _listen(self, connection: Connection) -> None:
        while True:
            await self._watch(connection)
            await self._hang_up()
            log.warning("listening stopped", extra={"action": "listen_lost"})
            connection = self._connection = await self._reconnect()
            self._tell("resync", "")

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            await close_quietly(connection)

    async def _watch(self, connection: Connection) -> None:
        """Return when the connection is lost, or does not answer any more."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await self._lost.wait()
            except TimeoutError:
                try:
                    await connection.execute("SELECT 1", timeout=ANSWER_TIMEOUT_S)
                except DRIVER_ERRORS:
                    return

    async def _reconnect(self) -> Connection:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._connect()
            except StoreError:
                # Failure policy: open. Without wake-ups everything still happens, at the pace of polling.
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _resync_blindly(self) -> None:
        while True:
            await asyncio.sleep(BLIND_RESYNC_S)
            self._tell("resync", "")

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        for word in str(payload).split():
            kind, _, identifier = word.partition("/")
            self._tell(kind, identifier)

    def _tell(self, kind: str, identifier: str) -> None:
        for listener in self._listeners:
            try:
                listener(kind, identifier)
            except Exception:
                # Failure policy: open. One listener's mistake must not keep hints from the others.
                log.exception("a listener failed", extra={"action": "listener_failed", "kind": kind})
