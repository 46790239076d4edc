"""The receiver: one HTTP/1.1 server for all targets, which verifies every request and answers badly now and then.

    request read to its end ──verified, noted──> 200, at once or after a while
                                            ├──> 500
                                            └──> no answer, the connection ends

Which of the three a request meets is decided by the seed, the message, the target and how often it came: the first
two requests of a delivery may fail, later ones never do, so that a short retry schedule always suffices.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from typing import Self

import httptools
import standardwebhooks

from hookline.signatures import SignatureError, verify
from support.torture.ledger import Ledger, Target

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ERROR = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops"
FAULTY_REQUESTS = 2  # of one delivery
OTHER_JUDGE_EVERY = 16  # the vendor's package checks every so many


class Receiver:
    """Listens from `async with` to its end. A target's URL is `url_of(target)`."""

    def __init__(self, ledger: Ledger, seed: int, secret: str) -> None:
        self._ledger = ledger
        self._seed = seed
        self._secret = secret
        self._other = standardwebhooks.Webhook(secret)
        self._targets = {f"/{target.name}": target for target in ledger.targets}
        self._server: asyncio.Server
        self._count = 0
        self.open: set[Conversation] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Conversation(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for conversation in list(self.open):
            conversation.abort()
        await self._server.wait_closed()

    def url_of(self, target: Target) -> str:
        return f"http://127.0.0.1:{self.port}/{target.name}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[bytes | None, float]:
        """Note a request; the answer to it (None: hang up), and after how many seconds."""
        target = self._targets[path]
        message_id = headers.get("webhook-id", "")
        past = self._ledger.arrivals[message_id, target.name]
        chance = zlib.crc32(f"{self._seed} {message_id} {target.name} {past}".encode()) / 2**32
        fails = past < FAULTY_REQUESTS and chance < target.faults
        is_signed = self._is_signed(headers, body)
        self._ledger.note_arrival(target, message_id, body, is_signed=is_signed, accepts=not fails)
        if fails:
            return (ERROR if chance < 0.7 * target.faults else None), 0.0
        return OK, chance * target.slow_s

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        self._count += 1
        try:
            verified = verify(headers, body, self._secret, now_s=time.time())
            if self._count % OTHER_JUDGE_EVERY == 0:
                self._other.verify(body, headers)
                self._ledger.report.judged_by_other += 1
        except (SignatureError, standardwebhooks.WebhookVerificationError):
            return False
        return verified.message_id == headers["webhook-id"]


class Conversation(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path, self._headers, self._body = "", {}, []

    def on_url(self, url: bytes) -> None:
        self._path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer, after_s = self._receiver.take(self._path, self._headers, b"".join(self._body))
        if answer is None:
            self._transport.abort()
        elif after_s:
            asyncio.get_running_loop().call_later(after_s, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
