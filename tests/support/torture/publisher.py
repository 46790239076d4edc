"""Publishers: each keeps a connection to every node alive, and takes the nodes in turns.

    next payload ──sent──> 202 ──in the ledger──> next payload
                     ├──refused (503, 507)─────┐
                     └──connection lost────────┴──keyed──> the same again, elsewhere, until it is acknowledged
                                               └──not keyed──> given up: whether it arrives, nobody has promised

Half of the publishers use an Idempotency-Key and never give up, as a careful client would; whatever they meet, each of
their payloads must become exactly one message.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from support.torture.ledger import KEYS, Ledger, Sent, digest_of

REQUEST_TIMEOUT_S = 2.0
PAUSE_S = 0.02  # after a request that failed
LARGEST_FILLER_BYTES = 20_000
REFUSALS = frozenset({503, 507})

_numbers = itertools.count(1)


class HttpError(Exception):
    """What came back is nothing that this server should ever answer: no crash excuses it."""


class Answer:
    """Status, headers (lower case) and body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A keep-alive connection to one port, opened when it is needed."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._port = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, port: int, method: str, path: str, body: bytes = b"", key: str | None = None) -> Answer:
        """Make one request.

        Raises:
            OSError, EOFError, TimeoutError: no answer; the request may have been done or not.
        """
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                if self._streams is None or self._port != port:
                    self.close()
                    self._streams = await asyncio.open_connection("127.0.0.1", port)
                    self._port = port
                reader, writer = self._streams
                extra = f"idempotency-key: {key}\r\n" if key else ""
                head = (
                    f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {self._token}\r\n"
                    f"content-type: application/json\r\n{extra}content-length: {len(body)}\r\n\r\n"
                )
                writer.write(head.encode() + body)
                return await self._read(reader)
        except BaseException:
            self.close()
            raise

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if "content-length" not in headers:
            raise HttpError(f"an answer without a length: {lines[0]}")
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(lines[0].split()[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class Publisher:
    """Sends until `stop`. `ports` are the nodes' at each moment; `pause_s` is the mean pause between messages."""

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        token: str,
        path: str,
        ports: Callable[[], Sequence[int]],
        *,
        event_types: Sequence[str],
        keyed: bool,
        pause_s: float,
        rng: random.Random,
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._token = token
        self._clients: dict[int, Client] = {}
        self._path = path
        self._ports = ports
        self._turn = rng.randrange(1000)
        self._event_types = event_types
        self._keyed = keyed
        self._pause_s = pause_s
        self._rng = rng
        self._stopping = False

    def stop(self) -> None:
        """Send nothing new; what is on its way and keyed is still brought to an end."""
        self._stopping = True

    async def run(self) -> None:
        try:
            while not self._stopping:
                await self._publish(self._make())
                await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
        finally:
            for client in self._clients.values():
                client.close()

    async def _publish(self, made: tuple[Sent, bytes]) -> None:
        sent, body = made
        key = f"{self._name}-{sent.number}" if self._keyed else None
        while True:
            answer = await self._ask(sent, body, key)
            if answer is not None and answer.status == 202:
                await self._ledger.acknowledge(answer.json()["id"], sent.number)
                return
            if not self._keyed:
                return
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, sent: Sent, body: bytes, key: str | None) -> Answer | None:
        ports = self._ports()
        self._turn += 1
        port = ports[self._turn % len(ports)]
        client = self._clients.setdefault(port, Client(self._token))
        try:
            answer = await client.request(port, "POST", self._path, body, key)
        except (OSError, EOFError, TimeoutError):
            self._ledger.report.unanswered += 1
            await asyncio.sleep(PAUSE_S)
            return None
        if answer.status == 202:
            return answer
        if answer.status in REFUSALS and "retry-after" in answer.headers:
            self._ledger.note_refused(sent.number, answer.status, again=self._keyed)
        else:
            raise HttpError(f"a message was answered with {answer.status}: {answer.body[:200]!r}")
        return None

    def _make(self) -> tuple[Sent, bytes]:
        number = next(_numbers)
        payload = make_payload(self._rng, number)
        event_type = self._rng.choice(self._event_types)
        sent = Sent(number, digest_of(payload), event_type, self._name)
        self._ledger.note_sent(sent)
        return sent, b'{"eventType":"%b","payload":%b}' % (event_type.encode(), payload)


def make_payload(rng: random.Random, number: int) -> bytes:
    """Make JSON that nobody would write the same way twice: odd spaces, escapes, numbers, lengths."""
    length = int(min(LARGEST_FILLER_BYTES, rng.paretovariate(1.0) * 40))
    filler = "".join(_letters(rng, length))
    key = number % KEYS
    return (
        f'{{ "number":{number} ,"key":{key}, "price": 1.50,"e":1E+2, "filler":"\\u00e4ä {filler}","a":[ ] }}'.encode()
    )


def _letters(rng: random.Random, length: int) -> Iterator[str]:
    for _ in range(0, length, 37):
        yield rng.choice(("lorem ", "ipsum ", "\\n", "\\/", "\u2603", "\u4f60", "x" * 37))
