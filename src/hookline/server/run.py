"""Serving: one process, one event loop, one port.

    starting ──runtime started, callers let in──> serving («ready» is logged)
    serving ──SIGTERM or SIGINT──> draining: port closed, requests in progress answered, engine drained ──> exit 0
    draining ──second signal──> connections cut, what is left goes on after the next start

Until the drain begins `/readyz` says 200; from then on 503, so that a load balancer looks elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from hookline.server.app import create_app
from hookline.server.protocol import http_protocol
from hookline.server.runtime import Runtime
from hookline.server.settings import Settings

log = logging.getLogger("hookline.server")

KEEP_ALIVE_S = 75  # longer than the usual load balancer's, which must be the one to close idle connections
ANSWER_GRACE_S = 10  # for requests in progress when the server is told to stop
BACKLOG = 2_048


class Server(uvicorn.Server):
    """uvicorn, with signals left to us: one `stop` ends everything in the right order. `on_started` is called as soon
    as callers are let in, unless it was stopped before.
    """

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime
        self.on_started: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self.on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Stop gracefully; a second call does not wait for connections any more."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._runtime.draining = True

    @property
    def port(self) -> int:
        """The port that is listened on, once `started`."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


def build_server(runtime: Runtime) -> Server:
    """A server for a runtime; `serve` it."""
    settings = runtime.settings
    config = uvicorn.Config(
        create_app(runtime),
        host=settings.host,
        port=settings.port,
        loop="none",
        http=http_protocol(runtime),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",  # its life is ours, and told by us
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here believes a client's word on its address
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=ANSWER_GRACE_S,
        backlog=BACKLOG,
    )
    return Server(config, runtime)


async def serve(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Run a node until it is told to stop. `on_ready` hears the address that it listens on.

    Raises:
        HooklineError: it cannot start; the message says what to do.
        OSError: it cannot listen.
    """
    listener = _listen(settings)
    runtime = Runtime(settings)
    server = build_server(runtime)
    for notice in runtime.notices:
        log.warning(notice, extra={"action": "notice"})

    def tell() -> None:
        address = _address(listener)
        log.info("ready", extra={"action": "ready", "address": address, "role": settings.role.value})
        if on_ready is not None:
            on_ready(address)

    server.on_started = tell
    with _signals(server.stop):  # to the very end: a second signal must not kill a drain
        try:
            await runtime.start()
            _calm_collector()
            _raise_file_limit()
            await server.serve(sockets=[listener])
        finally:
            listener.close()
            await runtime.stop()
    log.info("stopped", extra={"action": "stopped"})


def run(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """`serve` on a fresh event loop, the fast one where it exists."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, on_ready=on_ready))


def _raise_file_limit() -> None:
    """As many open files as the system lets us have: 2,000 deliveries in flight do not fit into the usual 1,024."""
    try:
        import resource  # noqa: PLC0415  (not on every platform)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Failure policy: open. With fewer files, connections are refused or fail one by one; nothing is lost.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _calm_collector() -> None:
    """Keep the cycle collector from walking over everything that was imported, again and again under load.

    What a message needs is freed by its reference counts; cycles are rare, so looking for them can wait longer.
    Measured with four interleaved runs: 161 us of CPU a message before, 147 us after.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (not on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


def _listen(settings: Settings) -> socket.socket:
    """Open the port before anything else: a port that is taken is found out before a database is touched."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop` for as long as this lasts."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
