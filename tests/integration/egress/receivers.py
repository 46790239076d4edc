"""Well-behaved receivers for the client's tests: they answer, count connections, and can be told what to answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hookline.egress import Failure, Outcome, Reason, Request
from integration.egress.zoo import read_request, serve_act


@dataclass
class Receiver:
    """What a running receiver has seen, and what it does next."""

    port: int = 0
    connections: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    close_after_answer: bool = False
    """Close without saying so, as servers do with connections they find idle for too long."""
    hold: asyncio.Event | None = None
    """Answer only once this is set."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def act(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await read_request(reader))
            self.arrived.set()
            if self.hold is not None:
                await self.hold.wait()
            writer.write(self.answer)
            await writer.drain()
            if self.close_after_answer:
                return


@contextlib.asynccontextmanager
async def run_receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serve_act(receiver.act, context) as port:
        receiver.port = port
        yield receiver


def post(url: str, body: bytes = b"{}", timeout_s: float = 10, method: str = "POST") -> Request:
    return Request(method, url, [("webhook-id", "msg_1"), ("User-Agent", "Hookline")], body, timeout_s)


def reason_of(outcome: Outcome) -> Reason | None:
    return outcome.reason if isinstance(outcome, Failure) else None
