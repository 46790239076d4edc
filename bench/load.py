"""The closed-loop load: wrk with one thread, as fast as the server answers."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass

from bench.errors import BenchError
from bench.payload import make_payload
from bench.programs import ROOT, find_program
from bench.server import Target

SCRIPT = ROOT / "bench" / "load.lua"
EXTRA_TIME_S = 30  # what wrk may take beyond its time before it counts as stuck


@dataclass(frozen=True)
class Load:
    """What wrk did. `refused` answers were not 2xx; `broken` connections or answers later than 2 s.

    The window is when it was done, by the monotonic clock. Latency here is that of a saturated server and counts
    from the actual sending: not the figure to judge latency by.
    """

    acknowledged: int
    refused: int
    broken: int
    start_ns: int
    end_ns: int
    p50_ms: float
    p99_ms: float

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


def run_load(target: Target, event_types: list[str], *, seconds: int, connections: int) -> Load:
    """Send for some seconds. Requests in flight at the end are cut: stored perhaps, acknowledged to nobody."""
    command = [find_program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{target.port}{target.path}", "--", target.token, make_payload(), *event_types]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + EXTRA_TIME_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError("wrk did not end in time. Is the machine overloaded?") from error
    end_ns = time.monotonic_ns()
    if done.returncode:
        raise BenchError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    figures = json.loads(done.stdout.splitlines()[-1])
    return Load(
        acknowledged=figures["requests"] - figures["refused"],
        refused=figures["refused"],
        broken=figures["broken"],
        start_ns=end_ns - figures["duration_us"] * 1000,
        end_ns=end_ns,
        p50_ms=figures["p50_us"] / 1000,
        p99_ms=figures["p99_us"] / 1000,
    )
