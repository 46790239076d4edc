"""Plain counters that the engine moves and `/metrics` reads. No locks: one event loop writes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Upper bounds of the buckets, in seconds; the last one is open.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


@dataclass(slots=True)
class Histogram:
    """Counts per bucket of `LATENCY_BUCKETS_S`, and the sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_S) + 1))
    total_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.total_s += seconds
        for index, bound in enumerate(LATENCY_BUCKETS_S):
            if seconds <= bound:
                self.counts[index] += 1
                return
        self.counts[-1] += 1


@dataclass(slots=True)
class Stats:
    """Everything since the start of the process."""

    ingested: Counter[str] = field(default_factory=Counter)  # accepted, duplicate, refused, failed
    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)  # (verdict, reason)
    disabled: Counter[str] = field(default_factory=Counter)  # endpoints that were switched off, by reason
    retries_scheduled: int = 0
    dead_letters: int = 0
    blocked: int = 0
    rescued: int = 0
    leases_lost: int = 0
    spilled: int = 0
    commits: int = 0
    committed_items: int = 0
    commit_failures: int = 0
    attempt_duration: Histogram = field(default_factory=Histogram)
    delivery_latency: Histogram = field(default_factory=Histogram)  # acceptance to success
