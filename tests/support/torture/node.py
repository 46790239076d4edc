"""One server process, `hookline serve`, which can be killed, frozen, and told to die at a named point.

    down ──spawn──> starting ──/readyz says 200──> ready ──kill (SIGKILL), or its crash point──> down
                                                     └──freeze (SIGSTOP)──> frozen ──thaw (SIGCONT)──> ready

The port stays the same from life to life. The log is a file, appended to by each life.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.postgres import find_free_port

READY_TIMEOUT_S = 40.0
DEATH_TIMEOUT_S = 30.0
POLL_S = 0.02
FOREIGN = ("DATABASE_URL", "PORT", "LOG_LEVEL")  # read by Hookline as well

# Should this process die, however suddenly, the kernel ends its servers.
_PREFIX = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


class NodeError(Exception):
    """A node did not do as told. The message ends with its log."""


class Node:
    """`environment` is what this node's settings are, beside those of the machine."""

    def __init__(self, name: str, directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.port = find_free_port()
        self.environment = dict(environment)
        self.log_path = directory / f"{name}.log"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self, **environment: str) -> None:
        """Begin a new life; `environment` is for this life alone."""
        self._is_wanted = True
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_PREFIX, sys.executable, "-m", "hookline", "serve", "--port", str(self.port)],
                env=self._full_environment() | environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def await_ready(self) -> None:
        """Wait until it accepts messages."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await self.is_ready():
                    if not self.is_running:
                        raise NodeError(f"{self.name} ended with {self._code()}:\n{self.read_log()}")
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise NodeError(f"{self.name} was not ready in {READY_TIMEOUT_S} s:\n{self.read_log()}") from error

    async def is_ready(self) -> bool:
        """Ask /readyz, on a connection of its own."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.transport.abort()

    async def start(self, **environment: str) -> None:
        self.spawn(**environment)
        await self.await_ready()

    def revive(self) -> int | None:
        """Do as a supervisor does: spawn it again if it ended by itself, and say with which code it had."""
        if not self._is_wanted or self.is_running:
            return None
        code = self._code()
        self.spawn()
        return code

    async def kill(self) -> None:
        """SIGKILL: no handler, no flush, no goodbye."""
        self._is_wanted = False
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def await_death(self) -> None:
        """Wait for a crash point to do its work."""
        self._is_wanted = False
        assert self._process is not None
        try:
            await asyncio.to_thread(self._process.wait, DEATH_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise NodeError(f"{self.name} did not reach its crash point:\n{self.read_log()}") from error
        if self._code() != -signal.SIGKILL:
            raise NodeError(f"{self.name} ended with {self._code()}, not by its crash point:\n{self.read_log()}")

    async def stop(self) -> None:
        """SIGTERM, and wait; kill what does not listen."""
        self._is_wanted = False
        if self._process is None or not self.is_running:
            return
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, DEATH_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            await self.kill()
            raise NodeError(f"{self.name} did not stop:\n{self.read_log()}") from error

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def read_log(self, last_bytes: int = 4000) -> str:
        return self.log_path.read_text(errors="replace")[-last_bytes:] if self.log_path.exists() else "(nothing)"

    def list_log(self, action: str) -> list[dict[str, Any]]:
        """The log's entries of one action, of all lives."""
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [entry for entry in entries if entry.get("action") == action]

    def run(self, *arguments: str) -> str:
        """Run another command of the program with this node's settings, and give what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "hookline", *arguments],
            env=self._full_environment(),
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NodeError(f"hookline {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout.strip()

    def _full_environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HOOKLINE_", "PG")) and name not in FOREIGN
        }
        return kept | self.environment

    def _code(self) -> int | None:
        return None if self._process is None else self._process.poll()
