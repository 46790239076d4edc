"""The programs written in C: built into `.cache/bench` when they are missing or their source changed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from bench.errors import BenchError

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11"]
BUILD_TIMEOUT_S = 60


def build_program(name: str) -> Path:
    """The path of the program made from `bench/{name}.c`."""
    source = ROOT / "bench" / f"{name}.c"
    program = CACHE / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = program.with_suffix(".new")
        command = [find_program("gcc"), *FLAGS, "-o", str(unfinished), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S)
        if done.returncode:
            raise BenchError(f"{source.name} does not compile:\n{done.stderr}")
        unfinished.rename(program)
    return program


def find_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BenchError(f"{name} is missing. Run scripts/bench, which installs it.")
    return path
