"""Run the demo: `scripts/demo`, or `scripts/demo --once` for the table alone.

    server starting, libraries loading ──> ready ──> the play ──`--once`──> everything ended
                                                         └──otherwise──> serving until Ctrl-C ──> everything ended

Exit code 0: every delivery was verified and is on Hookline's record as a success. 1: one was not, or something did not
start. 2: a wrong command line. 130: interrupted before the table was there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
from rich.console import Console

from .client import Client
from .scene import SUBSCRIBERS
from .server import Server, StartError

DEFAULT_PORT = 8071
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(arguments: argparse.Namespace, console: Console) -> int:
    """The whole demo; the exit code."""
    ended = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    _on_end(task.cancel)
    try:
        async with start_server(arguments.port, console) as server:
            # Loaded here: it takes its time, and so does the server, in a process of its own.
            from . import table, verifiers  # noqa: PLC0415
            from .play import Play  # noqa: PLC0415

            verifiers.warm_up()
            play = Play(console, arguments.break_secret)
            play.receiver.start()
            try:
                await server.wait_until_ready()
                token = await server.create_key()
                async with Client(server.url, token) as client:
                    is_good = await play.perform(client)
                if not is_good:
                    table.print_complaints(console, server.complaints)
                if not arguments.once:
                    table.print_invitation(console, server.url, token)
                    _on_end(ended.set)  # from here on, the end is meant to be
                    await ended.wait()
                    console.print("stopping", style="dim")
            finally:
                await play.receiver.stop()
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    return 0 if is_good else EXIT_FAILED


def _on_end(act: Callable[[], object]) -> None:
    """Ctrl-C, SIGTERM and a closed terminal act once: impatience must not interrupt the tidying up."""
    loop = asyncio.get_running_loop()

    def act_once() -> None:
        for number in _ENDS:
            loop.add_signal_handler(number, lambda: None)
        act()

    for number in _ENDS:
        loop.add_signal_handler(number, act_once)


@contextlib.asynccontextmanager
async def start_server(port: int, console: Console) -> AsyncIterator[Server]:
    """A server that is starting, on a database that goes with it."""
    with tempfile.TemporaryDirectory(prefix="hookline-demo-") as folder:
        server = Server(Path(folder), port)
        try:
            console.print("Starting Hookline on a SQLite file, and a receiver", style="dim")
            await server.start()
            yield server
        finally:
            await server.stop()


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Starts Hookline and a small receiver, publishes events in every dialect, and has each delivery "
        "verified by the vendor's own library. Then goes on serving.",
    )
    parser.add_argument("--once", action="store_true", help="end after the table: exit code 0 if all were verified")
    parser.add_argument(
        "--port", type=int, help=f"where Hookline listens [{DEFAULT_PORT}, or another if that one is taken]"
    )
    parser.add_argument(
        "--break-secret",
        action="append",
        default=[],
        choices=[subscriber.uid for subscriber in SUBSCRIBERS],
        metavar="UID",
        help="give this subscriber a wrong secret, to see what a failure looks like: %(choices)s",
    )
    arguments = parser.parse_args()
    if arguments.port is None:
        arguments.port = DEFAULT_PORT if is_free(DEFAULT_PORT) else 0
    return arguments


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def main() -> int:
    arguments = read_arguments()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=144)  # in a pipe, the table is as wide as it likes
    try:
        return asyncio.run(run(arguments, console))
    except (StartError, httpx2.HTTPError) as error:
        console.print(f"The demo cannot go on. {error}", style="red", markup=False, soft_wrap=True)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
