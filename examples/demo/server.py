"""The server under demonstration: `hookline serve` in a process of its own, on a SQLite file of its own.

stopped ──start──> starting ──answers /readyz──> ready ──stop: SIGTERM, later SIGKILL──> stopped
                       └──ended, or too slow──> StartError with the end of its log
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from pathlib import Path
from typing import Any

import httpx2

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
LINES_SHOWN = 15

_COMPLAINTS = frozenset({"error", "critical"})
# What the surroundings may have set for another server of theirs.
_FOREIGN = frozenset({"DATABASE_URL", "PORT", "LOG_LEVEL"})


class StartError(Exception):
    """The server, or a command of it, did not do what it should; the message has its last words."""


class Server:
    """One server process. `folder` holds its database; `complaints` are the errors in its log."""

    def __init__(self, folder: Path, port: int) -> None:
        self._database = f"sqlite:///{folder / 'demo.db'}"
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._log: deque[str] = deque(maxlen=LINES_SHOWN)
        self.complaints: list[str] = []
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.url = ""

    async def start(self) -> None:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hookline", "serve", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--database", self._database),
            env=_environment() | {"HOOKLINE_LOG_FORMAT": "json", "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops the server in good order
        )
        self._reading = asyncio.create_task(self._read_log(self._process))

    async def wait_until_ready(self) -> None:
        """Wait until it accepts messages; `url` is known from then on.

        Raises:
            StartError: it ended, or took too long.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.url = await self._address
                await self._ask_until_ready()
        except TimeoutError:
            raise StartError(self._explain(f"The server was not ready after {START_TIMEOUT_S:.0f} s.")) from None

    async def stop(self) -> None:
        """Let it finish what is in flight, then end it."""
        if self._process is None or self._reading is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            # Failure policy: the demo's data is thrown away, so a server that hangs may lose it.
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def create_key(self) -> str:
        """A fresh API key, from the command that operators use.

        Raises:
            StartError: the command failed.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hookline", "key", "create", "--name", "demo", "--database", self._database),
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode != 0:
            raise StartError(f"No API key could be made. {errors.decode(errors='replace').strip()}")
        return output.decode().strip()

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._log.append(text)
            entry = _read_entry(text)
            if entry.get("level") in _COMPLAINTS:
                self.complaints.append(text)
            if entry.get("action") == "ready" and not self._address.done():
                self._address.set_result(str(entry["address"]))
        if not self._address.done():
            self._address.set_exception(StartError(self._explain("The server ended before it was ready.")))

    async def _ask_until_ready(self) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):  # it does not listen yet
                    if (await client.get(f"{self.url}/readyz")).status_code == httpx2.codes.OK:
                        return
                if self._reading is not None and self._reading.done():
                    raise StartError(self._explain("The server ended before it was ready."))
                await asyncio.sleep(POLL_S)

    def _explain(self, sentence: str) -> str:
        return "\n".join([f"{sentence} Its last words:", *(f"  {line}" for line in self._log)])


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_") and name not in _FOREIGN
    }


def _read_entry(line: str) -> dict[str, Any]:
    """One line of the server's log; what is no JSON, a traceback say, is an error."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {"level": "error"}
    return entry if isinstance(entry, dict) else {}
