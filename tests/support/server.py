"""A whole server on a real port, and a receiver for what it delivers.

The server runs in a thread of its own, so that tests with synchronous clients and tests with an event loop use it
alike. One server serves all tests of a worker; each test has an organization of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, Self, TypeVar

import httpx2
from svix.api import Svix, SvixOptions

from hookline.server.run import build_server
from hookline.server.runtime import Runtime
from hookline.server.settings import Settings
from hookline.store import Store

T = TypeVar("T")

PATIENCE_S = 20
POSTGRES_SECRETS = {"encryption_key": "k1:" + "A" * 43 + "=", "jwt_secret": "the same on every node, and secret"}


class RunningServer:
    """A server in a thread. `call` runs something on its event loop and waits for it."""

    def __init__(self, settings: Settings, wrap_store: Callable[[Store], Store] | None = None) -> None:
        self._settings = settings
        self._wrap_store = wrap_store
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready: concurrent.futures.Future[tuple[Runtime, asyncio.AbstractEventLoop, Callable[[], None]]]
        self._ready = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.runtime, self.loop, self._stop = self._ready.result(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.begin_stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the server did not stop"

    def begin_stop(self) -> None:
        """What a SIGTERM does."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop)

    def wait_until_refused(self) -> None:
        """Wait until the port is closed."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return
        raise AssertionError("the port is still open")

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    async def _serve(self) -> None:
        runtime = Runtime(self._settings, wrap_store=self._wrap_store)
        async with runtime:
            server = build_server(runtime)
            self._ready.set_result((runtime, asyncio.get_running_loop(), server.stop))
            await server.serve(sockets=[self._listener])


class Delivered:
    """A request that arrived at the receiver."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.at_s = time.monotonic()
        self.path = path
        self.headers = headers
        self.body = body


class Receiver:
    """A receiver of webhooks that answers with the status in the path (`/200/...`), while `answers` is set."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.arrived: Queue[Delivered] = Queue()
        self.answers = threading.Event()
        self.answers.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.arrived.put(Delivered(self.path, headers, body))
                receiver.answers.wait(PATIENCE_S)
                self.send_response(int(self.path.split("/")[1]))
                self.send_header("content-length", "6")
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._server.server_address[1]}"

    def next(self) -> Delivered:
        return self.arrived.get(timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)


class Tenant:
    """An organization of a test's own, with clients that speak for it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.org_id = new_org()
        self._open = contextlib.ExitStack()
        self.token = server.runtime.tokens.issue_for_organization(self.org_id)

    @functools.cached_property
    def svix(self) -> Svix:
        return self.svix_with(self.token)

    @functools.cached_property
    def http(self) -> httpx2.Client:
        return self.http_with(self.token)

    def svix_with(self, token: str) -> Svix:
        client = Svix(token, SvixOptions(server_url=self.server.url, retry_schedule=[], timeout=PATIENCE_S))
        self._open.callback(client._httpx_client.close)  # it has no way of its own to close
        return client

    def http_with(self, token: str) -> httpx2.Client:
        headers = {"authorization": f"Bearer {token}"}
        client = httpx2.Client(base_url=f"{self.server.url}/api/v1", headers=headers, timeout=PATIENCE_S, verify=False)
        return self._open.enter_context(client)

    def close(self) -> None:
        self._open.close()

    def app_token(self, app_id: str) -> str:
        return self.server.runtime.tokens.issue_for_application(self.org_id, app_id)


def new_org() -> str:
    return f"org_{secrets.token_hex(13)}"


def settings_for(directory: Path, **changes: Any) -> Settings:
    """Settings for a test: a database file, deliveries to loopback, retries without waiting."""
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{directory}/hookline.db",
        "egress_allow": "127.0.0.0/8,::1/128",
        "retry_schedule": "0.05,0.05",
        "shutdown_grace_s": 2.0,
        **changes,
    }
    return Settings(**values)
