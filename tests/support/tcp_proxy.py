"""A TCP proxy that a test can make lose things: `TcpProxy` stands between a client and a server on 127.0.0.1.

    async with TcpProxy(port) as proxy:
        proxy.watch(b"COMMIT", Fate.SWALLOW_ANSWER)
        ...                                # the client connects to proxy.port
        await proxy.happened.wait()

What passes is not looked at until `watch` names bytes that the client will send; then, once:

* `SWALLOW_ANSWER`: they reach the server, its answer does not come back, and the connection ends;
* `CUT`: they do not reach the server, and the connection ends;
* `HOLD`: the client's connection ends, the server's stays until `release(forward=...)` says what becomes of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum, auto
from typing import Self


class Fate(Enum):
    """What happens to the bytes that were waited for."""

    SWALLOW_ANSWER = auto()
    CUT = auto()
    HOLD = auto()


class TcpProxy:
    """Forwards everything, until told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()
        self._pattern: bytes | None = None
        self._fate = Fate.CUT
        self._released: asyncio.Future[bool] | None = None
        self.happened = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def watch(self, pattern: bytes, fate: Fate) -> None:
        """Let this happen to the next piece from a client that contains `pattern`."""
        self._pattern, self._fate = pattern, fate
        self.happened.clear()
        self._released = asyncio.get_running_loop().create_future()

    def release(self, *, forward: bool) -> None:
        """End a HOLD: let the server have the bytes, or cut it off."""
        assert self._released is not None
        self._released.set_result(forward)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server = await asyncio.open_connection("127.0.0.1", self._target_port)
        back = asyncio.create_task(_pump(server_reader, client))
        try:
            while piece := await client_reader.read(65_536):
                if self._pattern is not None and self._pattern in piece:
                    self._pattern = None
                    await self._doom(piece, back, server_reader, server, client)
                    return
                server.write(piece)
                await server.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the test is over, or the client went away: so does everything here
        finally:
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await back
            _abort(client)
            _abort(server)
            self._tasks.discard(task)

    async def _doom(
        self,
        piece: bytes,
        back: asyncio.Task[None],
        server_reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        back.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await back
        if self._fate is Fate.SWALLOW_ANSWER:
            server.write(piece)
            await server_reader.read(65_536)  # the server has done it
        elif self._fate is Fate.HOLD:
            _abort(client)
            self.happened.set()
            assert self._released is not None
            if await self._released:
                server.write(piece)
                await server_reader.read(65_536)
        self.happened.set()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    writer.close()


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
