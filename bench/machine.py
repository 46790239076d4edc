"""The machine that the figures belong to: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.databases import POSTGRES
from bench.programs import find_program
from support.postgres_binaries import find_binaries

FSYNC_COUNT = 300
FSYNC_BYTES = 4096


def describe_machine(kinds: list[str], *, with_load: bool = True) -> dict[str, str]:
    """Names and values, in the order to print them. `with_load`: with the load generator's version."""
    directory = Path(tempfile.gettempdir())
    load_1_min = os.getloadavg()[0]
    description = {
        "processor": f"{os.cpu_count()} x {_read_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_read_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": f"{find_file_system(directory)} ({directory}; TMPDIR chooses another)",
        "fdatasync": f"{measure_fsync_us(directory):.0f} us (median, 4 KiB overwritten in place)",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "load before": f"{load_1_min:.2f}"
        + (" (the machine is busy: figures will be too low)" if load_1_min > 0.5 else ""),
    }
    if with_load:
        description["wrk"] = _first_line([find_program("wrk"), "--version"]).partition(" [")[0].removeprefix("wrk ")
    if POSTGRES in kinds:
        description["PostgreSQL"] = _first_line([str(find_binaries() / "postgres"), "--version"]).split()[-1]
    return description


def find_file_system(path: Path) -> str:
    """The type of the file system that a path is on."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if path.resolve().is_relative_to(mount_point) and len(mount_point) >= len(best[0]):
            best = (mount_point, kind)
    return best[1]


def measure_fsync_us(directory: Path) -> float:
    """What durability costs here: the median time to overwrite a page and have it on disk, in microseconds."""
    durations_ns = []
    with tempfile.TemporaryFile(dir=directory) as file:
        os.pwrite(file.fileno(), b"x" * FSYNC_BYTES * FSYNC_COUNT, 0)
        os.fsync(file.fileno())
        for number in range(FSYNC_COUNT):
            start_ns = time.perf_counter_ns()
            os.pwrite(file.fileno(), b"y" * FSYNC_BYTES, number * FSYNC_BYTES)
            os.fdatasync(file.fileno())
            durations_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.median(durations_ns) / 1000


def _read_field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return (done.stdout or done.stderr).partition("\n")[0].strip()
