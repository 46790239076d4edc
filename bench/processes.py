"""What processes used, read from /proc: CPU time of whole families, peak memory."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def list_family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _read_stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def cpu_time_s(pid: int) -> float:
    """CPU seconds, user and system, of a process and its descendants, those that ended included.

    What an ended child used is added to its parent when the parent collects it, so the sum only ever grows.
    """
    ticks = 0
    for member in list_family(pid):
        if fields := _read_stat(member):
            ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return ticks / TICKS_PER_S


def peak_memory_mib(pid: int) -> float:
    """The most memory that one process ever had resident (VmHWM), without its children."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def family_memory_mib(pid: int) -> float:
    """Memory of a process and its descendants now, shared pages counted once (the sum of Pss)."""
    kib = 0
    for member in list_family(pid):
        try:
            lines = (PROC / str(member) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it ended meanwhile
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def _read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name, from the state on; nothing if it ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
