"""One trial: a fresh database, server and sink; one run of each load; the books.

    started ──warm-up──> warm ──closed loop──> loaded ──nothing arrives any more──> drained
    drained ──open loop──> paced ──nothing arrives any more──> drained again ──books compared──> Trial

CPU time is counted from warm to drained, so that it holds all that the load's messages cost, and none of the readings
of the database that follow. Everything started is ended, by its process id, whatever happens.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.databases import Database, open_database
from bench.errors import BenchError
from bench.ledger import Books, Delivery, Ledger, balance
from bench.load import Load, run_load
from bench.pace import ACCEPTED, Sample, Spread, acknowledgement_spread, arrival_spread, run_pace
from bench.processes import cpu_time_s, family_memory_mib, peak_memory_mib
from bench.server import Server, Target
from bench.shapes import Shape
from bench.sink import Arrival, Sink

DRAIN_TIMEOUT_S = 60
SETTLE_TIMEOUT_S = 10  # arrivals are recorded in bulk, a moment later
QUIET_S = 1.0  # nothing arrived for so long: drained
POLL_INTERVAL_S = 0.1

MESSAGES = "SELECT id, event_type FROM hookline_messages"
SETTLED = "SELECT DISTINCT message_id, endpoint_id FROM hookline_attempts WHERE final"
SETTLED_COUNT = f"SELECT count(*) FROM ({SETTLED}) AS settled"


@dataclass(frozen=True)
class Plan:
    """How long and how hard. `pace_s` 0 leaves the open loop out."""

    load_s: int
    warm_up_s: int
    connections: int
    pace_s: int
    rate_per_s: int


@dataclass(frozen=True)
class Trial:
    """What one trial measured. Per message is per accepted message of the load."""

    acknowledged_per_s: float
    delivered_per_s: float
    acknowledgement: Spread | None
    arrival: Spread | None
    server_cpu_us: float
    database_cpu_us: float
    server_peak_mib: float
    database_mib: float
    drain_s: float
    server_log: str
    refused: int
    broken: int
    repeats: int
    saturated_p50_ms: float
    saturated_p99_ms: float
    ledger: Ledger


class Bench:
    """The parts of a trial that is running."""

    def __init__(self, database: Database, server: Server, sink: Sink, shape: Shape, plan: Plan) -> None:
        self.database = database
        self.server = server
        self.sink = sink
        self.shape = shape
        self.plan = plan
        self.target: Target = server.prepare(shape, sink.urls)
        self.loads: list[Load] = []
        self.samples: list[Sample] = []

    def load(self, seconds: int) -> Load:
        load = run_load(self.target, self.shape.event_types, seconds=seconds, connections=self.plan.connections)
        self.loads.append(load)
        return load

    def pace(self) -> list[Arrival]:
        """The open loop; returns its arrivals."""
        start = self.sink.read_stats().arrivals
        self.samples = run_pace(
            self.target, self.shape.event_types, rate_per_s=self.plan.rate_per_s, seconds=self.plan.pace_s
        )
        self.drain()
        return self.sink.read_arrivals(start)

    def drain(self) -> int:
        """Wait until nothing arrives any more, though all that was acknowledged should have; the arrivals so far."""
        acknowledged = sum(load.acknowledged for load in self.loads)
        acknowledged += sum(sample.status == ACCEPTED for sample in self.samples)
        expected = acknowledged * self.shape.fan_out
        if self.shape.silent:  # the rest by its share: which endpoint a request that was cut off was for, nobody knows
            expected = expected * (self.shape.endpoints - self.shape.silent) // self.shape.endpoints
            expected -= len(self.loads) * self.plan.connections
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        arrivals, changed_at = -1, time.monotonic()
        while time.monotonic() < deadline:
            count = self.sink.read_stats().arrivals
            if count != arrivals:
                arrivals, changed_at = count, time.monotonic()
            elif count >= expected and time.monotonic() - changed_at >= QUIET_S:
                break
            time.sleep(POLL_INTERVAL_S)
        return arrivals

    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds so far, of the server and of the database's own processes."""
        return cpu_time_s(self.server.pid), cpu_time_s(self.database.pid) if self.database.pid else 0.0

    def settle(self, arrivals: int) -> None:
        """Wait until what arrived is recorded too. What is not by then stands in the ledger as a fault."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while int(self.database.select(SETTLED_COUNT)[0][0]) < arrivals and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)

    def read_books(self, arrivals: list[Arrival]) -> Books:
        index_of = {endpoint_id: index for index, endpoint_id in enumerate(self.target.endpoint_ids)}
        wanted_by = {event_type: self.shape.endpoints_of(event_type) for event_type in self.shape.event_types}
        messages = self.database.select(MESSAGES)
        promised: set[Delivery] = {(message, index) for message, name in messages for index in wanted_by[name]}
        acknowledged_ids = {sample.message_id for sample in self.samples if sample.status == ACCEPTED}
        unanswered = sum(sample.status == 0 for sample in self.samples)
        broken = sum(load.broken for load in self.loads)
        return Books(
            messages={message for message, _ in messages},
            promised=promised,
            settled={(message, index_of[endpoint]) for message, endpoint in self.database.select(SETTLED)},
            arrived={(arrival.webhook_id, arrival.port_index) for arrival in arrivals},
            acknowledged=sum(load.acknowledged for load in self.loads) + len(acknowledged_ids),
            acknowledged_ids=acknowledged_ids,
            in_flight=len(self.loads) * self.plan.connections + broken + unanswered,
            bad_requests=self.sink.read_stats().bad,
        )


def run_trial(kind: str, shape: Shape, plan: Plan, say: Callable[[str], None]) -> Trial:
    """One trial on a database of a kind. `say` hears what is being done."""
    with TemporaryDirectory(prefix="hookline-bench-") as name, Sink(shape.endpoints, shape.silent) as sink:
        directory = Path(name)
        say("starting")
        with open_database(kind, directory) as database, Server(database, directory) as server:
            server.await_ready()
            return _measure(Bench(database, server, sink, shape, plan), say)


def _measure(bench: Bench, say: Callable[[str], None]) -> Trial:
    plan, sink = bench.plan, bench.sink
    say(f"warming up, {plan.warm_up_s} s")
    bench.load(plan.warm_up_s)
    arrivals_before = bench.drain()
    if arrivals_before == 0:
        raise BenchError(f"Nothing of the warm-up arrived. The server's log ends:\n{bench.server.read_log()}")
    cpu_before = bench.cpu_s()
    say(f"closed loop, {plan.load_s} s with {plan.connections} connections")
    load = bench.load(plan.load_s)
    database_mib = family_memory_mib(bench.database.pid) if bench.database.pid else 0.0
    say("draining")
    arrivals_after = bench.drain()
    drained_ns = time.monotonic_ns()
    cpu_after = bench.cpu_s()
    peak_mib = peak_memory_mib(bench.server.pid)
    paced: list[Arrival] = []
    if plan.pace_s:
        say(f"open loop, {plan.pace_s} s at {plan.rate_per_s}/s")
        paced = bench.pace()
    say("comparing the books")
    stats = sink.read_stats()
    bench.settle(stats.arrivals)
    arrivals = sink.read_arrivals()
    moments = [arrival.at_ns for arrival in arrivals]
    in_window = bisect_right(moments, load.end_ns) - bisect_left(moments, load.start_ns)
    last_ns = moments[arrivals_after - 1] if arrivals_after else drained_ns
    # Not those that wrk was told of: what was in flight when it ended is work too.
    share = bench.shape.fan_out * (bench.shape.endpoints - bench.shape.silent) / bench.shape.endpoints
    messages = max(1.0, (arrivals_after - arrivals_before) / share)
    return Trial(
        acknowledged_per_s=load.acknowledged / load.seconds,
        delivered_per_s=in_window / load.seconds,
        acknowledgement=acknowledgement_spread(bench.samples),
        arrival=arrival_spread(bench.samples, paced),
        server_cpu_us=(cpu_after[0] - cpu_before[0]) / messages * 1e6,
        database_cpu_us=(cpu_after[1] - cpu_before[1]) / messages * 1e6,
        server_peak_mib=peak_mib,
        database_mib=database_mib,
        drain_s=max(0.0, (last_ns - load.end_ns) / 1e9),
        server_log=bench.server.read_log(),
        refused=load.refused,
        broken=load.broken,
        repeats=stats.repeats,
        saturated_p50_ms=load.p50_ms,
        saturated_p99_ms=load.p99_ms,
        ledger=_close(bench, arrivals),
    )


def _close(bench: Bench, arrivals: list[Arrival]) -> Ledger:
    """The ledger; an unanswered message of the open loop voids the trial too, since it has no latency to count."""
    ledger = balance(bench.read_books(arrivals))
    failed = sum(sample.status != ACCEPTED for sample in bench.samples)
    if not failed:
        return ledger
    fault = f"{failed:,} of {len(bench.samples):,} messages of the open loop were not acknowledged"
    return Ledger(ledger.accepted, ledger.arrived, ledger.pending, (*ledger.faults, fault))
