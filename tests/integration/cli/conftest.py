"""Runs the program as a user does: a process of its own, a directory of its own, no settings from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
_FOREIGN = ("DATABASE_URL", "PORT", "LOG_LEVEL", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture
def clean_environ() -> dict[str, str]:
    """Give the environment without anything that Hookline reads."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_") and name not in _FOREIGN
    }


@pytest.fixture
def hookline(tmp_path: Path, clean_environ: dict[str, str]) -> Run:
    """Run `hookline ARGUMENTS` in `tmp_path`, with `env` added to a clean environment and `stdin` as its input."""

    def run(
        *arguments: str, env: dict[str, str] | None = None, stdin: str | bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hookline", *arguments],
            cwd=tmp_path,
            env=clean_environ | (env or {}),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=60,
            check=False,
            start_new_session=True,  # no terminal of the developer's to ask for secrets
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


class Node:
    """A running `hookline serve`; its log is read line by line, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.address = self.wait_for("ready")["address"]

    def wait_for(self, action: str) -> dict[str, Any]:
        """Read the log up to the line of this action."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            entry = _parse(line)
            self.lines.append(entry)
            if entry.get("action") == action:
                return entry
        raise AssertionError(f"the server ended with {self.process.wait()} before {action!r}: {self.lines}")

    def stop(self) -> int:
        """Stop gracefully, read the rest of the log, and give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        self.lines += [_parse(line) for line in self.process.stdout]
        return self.process.wait(30)


def _parse(line: str) -> dict[str, Any]:
    """Read a log line; what is none (a traceback) is kept to be shown."""
    return json.loads(line) if line.startswith("{") else {"text": line.rstrip()}


Serve = Callable[..., Node]


@pytest.fixture
def serve(tmp_path: Path, clean_environ: dict[str, str]) -> Iterator[Serve]:
    """Start `hookline serve` on a free port in `tmp_path` and wait until it is ready."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, env: dict[str, str] | None = None) -> Node:
        process = subprocess.Popen(
            [sys.executable, "-m", "hookline", "serve", "--port", "0", *arguments],
            cwd=tmp_path,
            env=clean_environ | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return Node(process)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
