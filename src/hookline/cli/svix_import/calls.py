"""Calls of the API at either side: over HTTP with retries, or of this program's own server without a network."""

# ruff: noqa: PLC0415 -- the server is imported only when the target is a database of ours

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from hookline.cli.client import ClientError, UnreachableError, connect, exchange, explain_refusal, read_object
from hookline.errors import HooklineError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

PREFIX: Final = "/api/v1"
PAGE_SIZE: Final = 100
RETRIES: Final = 6
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 60.0
TOKEN_LIFETIME_S: Final = 86_400


class RefusedError(HooklineError):
    """The server did not do what it was asked. The message is what it said."""

    code = "refused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the JSON object of an answer; `body` is empty where there was none."""

    status: int
    body: dict[str, Any]
    said: str


class Api(Protocol):
    """One side."""

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Raises ClientError when there is no answer at all."""


async def ask(api: Api, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of a successful answer.

    Raises:
        RefusedError: the answer is no success.
        ClientError: there is none, or the credential is not accepted: going on would be of no use.
    """
    answer = await api.call(method, path, body)
    if 200 <= answer.status < 300:
        return answer.body
    if answer.status in {401, 403}:
        raise ClientError(f"{answer.said} Check the token: it must be one of the whole organization.")
    raise RefusedError(answer.status, answer.said)


async def list_pages(api: Api, path: str, **query: str) -> AsyncIterator[list[dict[str, Any]]]:
    """All pages of a list.

    Raises:
        ClientError, RefusedError: as `ask`; or a list that leads nowhere.
    """
    iterator: str | None = None
    while True:
        parameters = {"limit": str(PAGE_SIZE), **query, **({} if iterator is None else {"iterator": iterator})}
        page = await ask(api, "GET", f"{path}?{urlencode(parameters)}")
        yield page["data"]
        if page["done"]:
            return
        if page["iterator"] in {None, iterator}:
            raise ClientError(f"The list {path} says that it goes on, and not where.")
        iterator = page["iterator"]


class HttpApi:
    """A server somewhere. Each of `concurrency` threads keeps a connection; a call takes the next free thread.

    What may pass by itself (no answer, 429, 5xx) is asked again after a while, longer each time, or after as long as
    the server says. A request that creates something carries a key, so that its repetition creates nothing twice.
    """

    def __init__(self, url: str, token: str, concurrency: int, first_delay_s: float = FIRST_DELAY_S) -> None:
        connect(url)  # an address that is none is told before anything begins
        self._url = url.rstrip("/").removesuffix(PREFIX)
        self._token = token
        self._first_delay_s = first_delay_s
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="api")
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        headers = {"idempotency-key": str(uuid.uuid4())} if method == "POST" else {}
        loop = asyncio.get_running_loop()
        for delay_s in self._delays():
            try:
                status, answered, said = await loop.run_in_executor(
                    self._threads, self._exchange, method, path, content, headers
                )
            except UnreachableError:
                if delay_s is None:
                    raise
                await asyncio.sleep(delay_s)
                continue
            if delay_s is not None and (status == 429 or status >= 500):
                await asyncio.sleep(_read_retry_after(answered.get("retry-after")) or delay_s)
                continue
            return Answer(status, read_object(said) or {}, explain_refusal(status, said))
        raise AssertionError("the last try answers or raises")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        if not hasattr(self._local, "connection"):
            self._local.connection, self._local.prefix = connect(self._url)
            self._connections.append(self._local.connection)
        return exchange(
            self._local.connection, self._token, method, f"{self._local.prefix}{PREFIX}{path}", content, headers
        )

    def _delays(self) -> Iterator[float | None]:
        """How long to wait after each try; None after the last one."""
        for number in range(RETRIES):
            yield min(LONGEST_DELAY_S, self._first_delay_s * 2**number) * random.uniform(0.8, 1.2)  # noqa: S311
        yield None


def _read_retry_after(text: str | None) -> float:
    """The seconds that a server asks for; 0 when it does not say, or says a date."""
    return min(LONGEST_DELAY_S, float(text)) if text is not None and text.isdigit() else 0.0


class OwnApi:
    """The API of this program itself on a database that is open: the same rules as over HTTP, without a network."""

    def __init__(self, app: ASGIApp, token: str, concurrency: int) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode()
        self._free = asyncio.Semaphore(concurrency)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        bare, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": PREFIX + bare,
            "raw_path": (PREFIX + bare).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"authorization", self._authorization), (b"content-length", str(len(content)).encode())],
            "client": None,
            "server": None,
        }
        status, said = 0, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            said.extend(message.get("body", b""))

        async with self._free:
            await self._app(scope, receive, send)
        return Answer(status, read_object(bytes(said)) or {}, explain_refusal(status, bytes(said)))


@asynccontextmanager
async def open_own_api(database_url: str | None, org: str | None, concurrency: int) -> AsyncIterator[OwnApi]:
    """The API on a database of ours, for one organization. Nothing is delivered: no engine runs.

    Raises:
        SettingsError, StoreError: the database cannot be opened.
    """
    from hookline.cli.database import read_settings
    from hookline.cli.output import print_note
    from hookline.server.app import create_app
    from hookline.server.runtime import Runtime

    settings = read_settings(database_url=database_url)
    runtime = Runtime(settings)
    for notice in runtime.notices:
        print_note(notice)
    if not settings.is_postgres:
        await runtime.store.migrate()
    try:
        await runtime.store.open(engine=False)
        token = runtime.tokens.issue_for_organization(org or settings.default_org, TOKEN_LIFETIME_S)
        yield OwnApi(create_app(runtime), token, concurrency)
    finally:
        await runtime.transport.close()
        await runtime.store.close()
