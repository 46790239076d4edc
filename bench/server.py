"""The server under measurement: a process of `hookline serve` as anybody would start it, and its API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.databases import Database
from bench.errors import BenchError
from bench.shapes import Shape
from bench.web import ask, post_json
from support.postgres import find_free_port

PROGRAM = Path(sys.executable).with_name("hookline")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40  # longer than the server's own grace
COMMAND_TIMEOUT_S = 60
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True)
class Target:
    """Where messages are sent: an application, and the token for it. `endpoint_ids` stand in the order of the shape."""

    port: int
    path: str
    token: str
    endpoint_ids: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Target({self.path!r})"


class Server:
    """A running server; `with` stops it."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.port = find_free_port()
        self._log = directory / "server.log"
        self._environment = _make_environment(database)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", "--port", str(self.port)],
                env=self._environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the benchmark, which then stops the server in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BenchError(f"The server did not start:\n{self.read_log()}")
            try:
                if ask(self.port, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass  # it does not listen yet
            time.sleep(POLL_INTERVAL_S)
        raise BenchError(f"The server was not ready after {START_TIMEOUT_S} s:\n{self.read_log()}")

    def prepare(self, shape: Shape, urls: list[str]) -> Target:
        """Make an application with its endpoints."""
        token = self._make_token()
        application = post_json(self.port, "/api/v1/app", {"name": "bench"}, token)["id"]
        path = f"/api/v1/app/{application}"
        endpoint_ids = tuple(
            post_json(self.port, f"{path}/endpoint", {"url": url, "filterTypes": shape.types_of(index)}, token)["id"]
            for index, url in enumerate(urls)
        )
        return Target(self.port, f"{path}/msg", token, endpoint_ids)

    def read_log(self) -> str:
        return self._log.read_text(errors="replace").strip()[-4000:] or "(it wrote nothing)"

    def close(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_token(self) -> str:
        done = subprocess.run(
            [PROGRAM, "token"],
            env=self._environment,
            cwd=self._log.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
        if done.returncode:
            raise BenchError(f"hookline token failed:\n{done.stderr.strip()}")
        return done.stdout.strip()


def _make_environment(database: Database) -> dict[str, str]:
    """Defaults, but for what a sink on this machine needs. What the caller's environment sets for Hookline is ignored,
    and so is what it sets for a database or a port.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HOOKLINE_", "PG")) and name not in {"DATABASE_URL", "PORT", "PYTHONPATH"}
    }
    return kept | {
        "HOOKLINE_DATABASE_URL": database.url,
        "HOOKLINE_ENCRYPTION_KEY": _generate("encryption-key"),
        "HOOKLINE_JWT_SECRET": _generate("jwt-secret"),
        "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
    }


def _generate(kind: str) -> str:
    command = [str(PROGRAM), "secret", "generate", kind]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=COMMAND_TIMEOUT_S).stdout.strip()
