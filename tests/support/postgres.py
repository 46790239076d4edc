"""A private PostgreSQL server, as a test part: started in a second, killed at will, gone afterwards.

    with PostgresServer(fast=True) as server:
        dsn = server.dsn(server.create_database())

A server goes through these states:

* **new**: nothing on disk but an empty directory; `start` runs initdb, picks a port, and makes it *running*;
* **running**: one postmaster of ours, its children, and a guardian. `stop` (in order) and `kill` (SIGKILL, as a power
  cut would) make it *down*, and return only when the last child is gone too;
* **down**: the data and the port are kept; `start` brings it back on them, doing crash recovery if there is any to do;
* **removed**: after `remove`, or the end of the `with` block, nothing is left.

Should this process die, however suddenly, the guardian (a shell waiting for the end of a pipe) takes the server down
and removes its directory, so that killed test runs leave nothing behind.

PostgreSQL refuses to run as root; started by root, it runs as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.postgres_binaries import find_binaries, is_reachable_by_others

if TYPE_CHECKING:
    from collections.abc import Mapping

# Enough for many pools at once; small enough that one server per test worker does no harm.
COMMON_SETTINGS = {"max_connections": "200", "shared_buffers": "64MB", "timezone": "UTC", "lc_messages": "C"}
# What is lost when the machine loses power, which for these databases is nothing. A killed process loses nothing either
# way, but `synchronous_commit` stays on: with it off, even a killed postmaster would lose commits it had confirmed.
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.01
PORT_ATTEMPTS = 5
# Below what operating systems lend to outgoing connections, so that none of those takes the port while we are down.
PORT_RANGE = range(20_000, 32_000)

# Arguments: the postmaster, the pipe that ends with the last process of the server, the directory.
GUARDIAN_SCRIPT = """
read -r _
kill -QUIT "$1"
read -r _ <"/dev/fd/$2"
rm -rf -- "$3"
"""


class PostgresError(Exception):
    """The server did not do as told. The message ends with what its log said."""


class PostgresServer:
    """One PostgreSQL server on 127.0.0.1, in a temporary directory of its own.

    By default it is as durable as in production (for crash tests); `fast` trades the power cut for speed.
    `settings` are PostgreSQL's own, and win over both. `binaries` is a directory with `postgres` and `initdb`.
    """

    def __init__(
        self, *, fast: bool = False, settings: Mapping[str, str] | None = None, binaries: Path | None = None
    ) -> None:
        self.settings = {**COMMON_SETTINGS, **(FAST_SETTINGS if fast else {}), **(settings or {})}
        self.binaries = binaries or find_binaries()
        self.port = 0
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._all_gone = -1  # readable, at its end, once no process of the server is left

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PostgresError("The server is down: call start() first.")
        return self._process.pid

    def start(self) -> None:
        """Start, and return when connections are accepted. Creates the data directory the first time."""
        if self.is_running:
            return
        self._collect()
        if self._directory is None:
            self._directory = self._make_directory()
            self._initialize()
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            is_first_start = self.port == 0
            port = self.port or find_free_port()
            self._launch(port)
            try:
                self._await_ready()
            except PostgresError as error:
                self.kill()
                # Somebody was quicker to take the port. Later it may no longer change: clients know it.
                if is_first_start and attempts_left and "could not bind" in str(error):
                    continue
                raise
            self.port = port
            return

    def stop(self) -> None:
        """Shut down in order: connections are cut, what was committed is checkpointed."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL the postmaster, and wait until its children have noticed and gone too."""
        self._signal(signal.SIGKILL)

    def restart(self, *, settings: Mapping[str, str] | None = None) -> None:
        """Stop in order (if running) and start on the same data and port; `settings` change what they name."""
        self.stop()
        self.settings.update(settings or {})
        self.start()

    def remove(self) -> None:
        """Take the server and its data away for good. Harmless when repeated."""
        self.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None
            self.port = 0

    # -- databases ----------------------------------------------------------------------------------------------------

    def dsn(self, dbname: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{dbname}"

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Create a database, empty or a copy of `template` (nobody may be connected to that), and return its name."""
        name = name or f"db_{secrets.token_hex(6)}"
        # template0 cannot be connected to, so nobody is ever in the way.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}"')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, cutting the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, *, dbname: str = "postgres") -> str:
        """Run SQL through psql (so it works beside any event loop), and return its unadorned output."""
        command = [
            str(self.binaries / "psql"),
            *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"),
            *("--dbname", self.dsn(dbname), "--command", sql),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_clean_environment())
        if done.returncode:
            raise PostgresError(f"psql: {done.stderr.strip()}\nThe SQL was: {sql}")
        return done.stdout.strip()

    # -- the processes ------------------------------------------------------------------------------------------------

    def _make_directory(self) -> Path:
        parent = Path(tempfile.gettempdir())
        if os.getuid() == 0 and not is_reachable_by_others(parent):
            parent = Path("/tmp")  # the account that the server runs as must get there
        directory = Path(tempfile.mkdtemp(prefix="hookline-pg-", dir=parent))
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        return directory

    def _initialize(self) -> None:
        command = [str(self.binaries / "initdb"), "--pgdata", str(self._path("data")), "--username", "postgres"]
        command += ["--auth", "trust", "--no-sync", "--locale", "C", "--encoding", "UTF8"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._child_options())
        if done.returncode:
            raise PostgresError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def _launch(self, port: int) -> None:
        command = [str(self.binaries / "postgres"), "-D", str(self._path("data")), "-p", str(port)]
        command += ["-h", "127.0.0.1", "-k", str(self._directory)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        # Every process of the server inherits the writing end, and none of them knows: the pipe ends with the last.
        self._all_gone, writing_end = os.pipe()
        try:
            with self._path("server.log").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[writing_end],
                    start_new_session=True,  # Ctrl-C in the terminal is for the tests
                    **self._child_options(),
                )
        finally:
            os.close(writing_end)
        arguments = [str(self._process.pid), str(self._all_gone), str(self._directory)]
        self._guardian = subprocess.Popen(
            ["/bin/sh", "-c", GUARDIAN_SCRIPT, "guardian", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[self._all_gone],
            start_new_session=True,
        )

    def _await_ready(self) -> None:
        """Wait for the postmaster to write `ready` into its pid file, the sign that pg_ctl goes by as well."""
        pid_file = self._path("data") / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.is_running:
                raise PostgresError(f"PostgreSQL did not start:\n{self.read_log()}")
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            # A killed predecessor's file stays until the new postmaster has replaced it.
            if len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                return
            time.sleep(POLL_INTERVAL_S)
        raise PostgresError(f"PostgreSQL was not ready after {START_TIMEOUT_S:.0f} s:\n{self.read_log()}")

    def _signal(self, signal_number: signal.Signals) -> None:
        if self.is_running:
            assert self._process is not None
            self._process.send_signal(signal_number)
        self._collect()

    def _collect(self) -> None:
        """Wait for the last process of the server, and forget them all."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise PostgresError(f"PostgreSQL did not stop:\n{self.read_log()}") from error
        ended, _, _ = select.select([self._all_gone], [], [], STOP_TIMEOUT_S)
        if not ended:
            raise PostgresError(f"Children of PostgreSQL outlived it by {STOP_TIMEOUT_S:.0f} s:\n{self.read_log()}")
        os.close(self._all_gone)
        self._process = None
        if self._guardian is not None:
            self._guardian.kill()  # before its pipe closes, or it would do its work
            self._guardian.communicate()
            self._guardian = None

    def read_log(self) -> str:
        """What the server wrote since its last start."""
        log = self._path("server.log")
        return log.read_text(errors="replace").strip() if log.exists() else "(nothing)"

    def _path(self, name: str) -> Path:
        if self._directory is None:
            raise PostgresError("The server has no directory: call start() first.")
        return self._directory / name

    def _child_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": self._directory, "env": _clean_environment()}
        if os.getuid() == 0:
            options |= {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        return options


def find_free_port() -> int:
    """Find a TCP port on 127.0.0.1 that nobody listens on, outside the range of outgoing connections."""
    while True:
        port = secrets.choice(PORT_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _clean_environment() -> dict[str, str]:
    """Our environment without PostgreSQL's own variables, which would redirect its programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
