"""Runs the program as a user does: a process of its own, a directory of its own, no settings from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
