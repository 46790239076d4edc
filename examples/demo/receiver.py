"""A small receiver: takes every request, has it verified, and answers 204, or 401 when it is not genuine.

    closed ──start──> listening on a free port ──stop──> closed

It plays all subscribers at once, each at a path of its own. What has been verified before is counted as a duplicate
and answered like the first time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI, Request, Response

from .scene import SUBSCRIBERS, Subscriber
from .verifiers import VERIFIERS


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that came in. `problem` says why it is not genuine; None means that it is."""

    subscriber: Subscriber
    webhook_id: str
    at_ms: float
    status: int
    header_seen: bool
    problem: str | None
    is_duplicate: bool


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the demo decides when everything ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Receiver:
    """`on_arrival` hears of each request once it has been judged."""

    def __init__(self, on_arrival: Callable[[Arrival], None]) -> None:
        self._on_arrival = on_arrival
        self._subscribers = {subscriber.uid: subscriber for subscriber in SUBSCRIBERS}
        self._secrets: dict[str, asyncio.Future[str]] = {}
        self._verified: set[tuple[str, str]] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        app = FastAPI(openapi_url=None)
        app.post("/{uid}")(self._take)
        self._server = _Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
        self._task: asyncio.Task[None] | None = None

    def url_of(self, subscriber: Subscriber) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/{subscriber.uid}"

    def expect(self, subscriber: Subscriber, secret: str) -> None:
        """Verify what this subscriber gets with this secret."""
        self._secret(subscriber.uid).set_result(secret)

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()

    async def _take(self, uid: str, request: Request) -> Response:
        at_ms = time.time_ns() / 1e6
        subscriber = self._subscribers.get(uid)
        if subscriber is None:
            return Response(status_code=404)
        headers, body = dict(request.headers), await request.body()
        secret = await self._secret(uid)
        # In a thread: a library that takes its time must not delay what arrives next.
        problem = await asyncio.to_thread(_judge, subscriber, secret, headers, body)
        status = 204 if problem is None else 401
        webhook_id = headers.get("webhook-id", "")
        name = (uid, webhook_id)
        is_duplicate = name in self._verified
        if problem is None:
            self._verified.add(name)
        header_seen = subscriber.signature_header.lower() in headers
        self._on_arrival(Arrival(subscriber, webhook_id, at_ms, status, header_seen, problem, is_duplicate))
        return Response(status_code=status)

    def _secret(self, uid: str) -> asyncio.Future[str]:
        if uid not in self._secrets:
            self._secrets[uid] = asyncio.get_running_loop().create_future()
        return self._secrets[uid]


def _judge(subscriber: Subscriber, secret: str, headers: dict[str, str], body: bytes) -> str | None:
    try:
        VERIFIERS[subscriber.uid](secret, headers, body)
    except Exception as error:  # noqa: BLE001 -- each library raises its own
        # Failure policy: closed. Whatever went wrong, the request was not verified.
        return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"
    return None
