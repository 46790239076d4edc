"""The open-loop load: messages at set moments (`pacer.c`), and how late their acknowledgements and arrivals are."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.errors import BenchError
from bench.payload import make_payload
from bench.programs import build_program
from bench.server import Target
from bench.sink import Arrival

CONNECTIONS = 64
EXTRA_TIME_S = 30  # the pacer itself waits ten seconds for late answers
ACCEPTED = 202


@dataclass(frozen=True)
class Sample:
    """One message: when it was due, when its answer came (monotonic clock), what that was, and the message's id."""

    due_ns: int
    answered_ns: int
    status: int
    message_id: str


@dataclass(frozen=True)
class Spread:
    """Milliseconds: half of the samples are at most `p50_ms`, 99 of 100 at most `p99_ms`."""

    p50_ms: float
    p99_ms: float
    longest_ms: float


def run_pace(target: Target, event_types: Sequence[str], *, rate_per_s: int, seconds: int) -> list[Sample]:
    """Send `rate_per_s` messages a second, evenly."""
    requests = b"".join(_make_request(target, event_type) for event_type in event_types)
    command = [
        str(build_program("pacer")),
        str(target.port),
        str(rate_per_s),
        str(rate_per_s * seconds),
        str(CONNECTIONS),
    ]
    try:
        done = subprocess.run(command, input=requests, capture_output=True, check=False, timeout=seconds + EXTRA_TIME_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError("The pacer did not end in time. Is the machine overloaded?") from error
    if done.returncode:
        raise BenchError(f"The pacer failed: {done.stderr.decode(errors='replace').strip()}")
    rows = (line.split() for line in done.stdout.decode().splitlines())
    return [Sample(int(due), int(answered), int(status), name) for due, answered, status, name in rows]


def acknowledgement_spread(samples: Sequence[Sample]) -> Spread | None:
    """From the scheduled send time to the acknowledgement."""
    return spread([sample.answered_ns - sample.due_ns for sample in samples if sample.status == ACCEPTED])


def arrival_spread(samples: Sequence[Sample], arrivals: Iterable[Arrival]) -> Spread | None:
    """From the acknowledgement, as its reader saw it, to each arrival. Below zero when the arrival came first."""
    answered = {sample.message_id: sample.answered_ns for sample in samples if sample.status == ACCEPTED}
    return spread(
        [arrival.at_ns - answered[arrival.webhook_id] for arrival in arrivals if arrival.webhook_id in answered]
    )


def spread(durations_ns: Sequence[int]) -> Spread | None:
    """Nearest-rank percentiles; None when there is nothing to rank."""
    if not durations_ns:
        return None
    ordered = sorted(durations_ns)
    at = [ordered[math.ceil(share * len(ordered)) - 1] / 1e6 for share in (0.5, 0.99, 1.0)]
    return Spread(*at)


def _make_request(target: Target, event_type: str) -> bytes:
    body = f'{{"eventType":"{event_type}","payload":{make_payload()}}}'
    request = (
        f"POST {target.path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\nauthorization: Bearer {target.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    return b"%d\n%b" % (len(request), request)
