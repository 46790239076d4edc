"""The sink's process (`sink.c`), and what it says when asked."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.errors import BenchError
from bench.programs import build_program
from bench.web import ask

STOP_TIMEOUT_S = 10


@dataclass(frozen=True)
class SinkStats:
    """`arrivals` are first requests of a webhook-id on an answering port, `repeats` the others; `unanswered` went to
    silent ports; `bad` were not understood.
    """

    requests: int
    arrivals: int
    repeats: int
    unanswered: int
    bad: int


@dataclass(frozen=True)
class Arrival:
    """The first complete request with a webhook-id on a port; the moment by the monotonic clock."""

    webhook_id: str
    port_index: int
    at_ns: int


class Sink:
    """A running sink with some receiving ports, of which the last `silent` never answer; `with` ends it."""

    def __init__(self, ports: int, silent: int = 0) -> None:
        self._process = subprocess.Popen(
            [build_program("sink"), str(ports), str(silent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        numbers = self._process.stdout.readline().split()
        if len(numbers) != ports + 1:
            self.close()
            raise BenchError("The sink did not open its ports. What it wrote stands above.")
        self.urls = [f"http://127.0.0.1:{number}/hook" for number in numbers[1:]]
        self._control_port = int(numbers[0])

    @property
    def pid(self) -> int:
        return self._process.pid

    def read_stats(self) -> SinkStats:
        return SinkStats(**json.loads(self._ask("/stats")))

    def read_arrivals(self, start: int = 0) -> list[Arrival]:
        """All arrivals from number `start` on, in order."""
        rows = (line.split() for line in self._ask(f"/arrivals/{start}").splitlines())
        return [Arrival(webhook_id, int(port_index), int(at_ns)) for webhook_id, port_index, at_ns in rows]

    def close(self) -> None:
        """End it, by ending its input."""
        try:
            self._process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, path: str) -> str:
        status, text = ask(self._control_port, "GET", path)
        if status != 200:
            raise BenchError(f"The sink answered {path} with {status}.")
        return text.decode()
