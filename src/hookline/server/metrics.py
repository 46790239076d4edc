"""`/metrics` for Prometheus: the engine's counters, and what the database knows of the backlog.

Counters are read from the engine's plain ones at the moment of asking; nothing is counted twice. The backlog and the
endpoints cost a query each, so they are remembered for a while, however many ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Final

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from hookline import __version__
from hookline.egress import Reason
from hookline.engine import LATENCY_BUCKETS_S, Histogram
from hookline.errors import HooklineError
from hookline.model import EndpointStatus
from hookline.server.runtime import Runtime
from hookline.store import Backlog

log = logging.getLogger("hookline.server")

BACKLOG_REMEMBERED_S: Final = 5.0
ENDPOINTS_REMEMBERED_S: Final = 60.0
BACKLOG_TIMEOUT_S: Final = 3.0

BLOCKING_RULES: Final = {"address": Reason.BLOCKED_ADDRESS.value, "port": Reason.BLOCKED_PORT.value}


class NodeCollector(Collector):
    """Turns one runtime's numbers into metric families."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._backlog: Backlog | None = None
        self._endpoints: dict[EndpointStatus, int] = {}
        self._asked_at_s: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask the database for what was not asked for a moment ago."""
        async with self._asking:
            try:
                async with asyncio.timeout(BACKLOG_TIMEOUT_S):
                    if self._is_old("backlog", BACKLOG_REMEMBERED_S):
                        self._backlog = None
                        self._backlog = await self._runtime.store.backlog(self._runtime.clock.now_ms())
                    if self._is_old("endpoints", ENDPOINTS_REMEMBERED_S):
                        self._endpoints = {}
                        self._endpoints = await self._runtime.store.count_endpoints()
            except (HooklineError, TimeoutError):
                # Failure policy: open. The other metrics are most wanted when the database is away; a gap says so.
                log.warning("backlog unknown", extra={"action": "backlog_unknown"})

    def _is_old(self, what: str, remembered_s: float) -> bool:
        """Whether this is to be asked for. It is noted as asked: a database that does not answer is not pestered."""
        now_s = self._runtime.clock.monotonic_s()
        asked_at_s = self._asked_at_s.get(what)
        if asked_at_s is not None and now_s - asked_at_s < remembered_s:
            return False
        self._asked_at_s[what] = now_s
        return True

    def collect(self) -> Iterable[Metric]:
        yield from self._counters()
        yield from self._gauges()
        stats = self._runtime.engine.stats
        yield _histogram("hookline_attempt_duration_seconds", "Duration of delivery attempts.", stats.attempt_duration)
        yield _histogram(
            "hookline_delivery_latency_seconds", "From acceptance to a successful answer.", stats.delivery_latency
        )

    def _counters(self) -> Iterator[Metric]:
        stats = self._runtime.engine.stats
        messages = CounterMetricFamily(
            "hookline_messages_ingested", "Messages by what became of them.", labels=["result"]
        )
        for result, count in stats.ingested.items():
            messages.add_metric([result], count)
        yield messages
        deliveries = CounterMetricFamily(
            "hookline_deliveries", "Attempts by verdict and reason.", labels=["outcome", "reason"]
        )
        for (outcome, reason), count in stats.deliveries.items():
            deliveries.add_metric([outcome, reason], count)
        yield deliveries
        blocked = CounterMetricFamily("hookline_blocked_requests", "Requests that the guard refused.", labels=["rule"])
        for rule, reason in BLOCKING_RULES.items():
            count = sum(count for (_, found), count in stats.deliveries.items() if found == reason)
            blocked.add_metric([rule], count)
        yield blocked
        disabled = CounterMetricFamily(
            "hookline_endpoints_disabled", "Endpoints that were disabled by themselves.", labels=["reason"]
        )
        for reason, count in stats.disabled.items():
            disabled.add_metric([reason], count)
        yield disabled
        notified = CounterMetricFamily(
            "hookline_notifications", "Notifications of alerts, by what became of them.", labels=["result"]
        )
        for result, count in self._runtime.alerting.notified.items():
            notified.add_metric([result], count)
        yield notified
        for name, text, value in (
            ("hookline_retries_scheduled", "Retries that were scheduled.", stats.retries_scheduled),
            ("hookline_dead_letter", "Deliveries that ended without success.", stats.dead_letters),
            ("hookline_lease_expired", "Leases that this node lost.", stats.leases_lost),
            ("hookline_rescued", "Deliveries taken over from dead nodes.", stats.rescued),
            ("hookline_spilled", "Deliveries that left memory for the database.", stats.spilled),
            ("hookline_db_commits", "Transactions of the engine.", stats.commits),
            ("hookline_db_committed_items", "Messages and outcomes in these transactions.", stats.committed_items),
            ("hookline_db_commit_failures", "Transactions that failed.", stats.commit_failures),
        ):
            yield CounterMetricFamily(name, text, value=value)

    def _gauges(self) -> Iterator[Metric]:
        stats, health = self._runtime.engine.stats, self._runtime.engine.health()
        yield GaugeMetricFamily("hookline_inflight", "Delivery requests in flight.", value=health.in_flight)
        yield GaugeMetricFamily("hookline_queued", "Deliveries that wait in memory.", value=health.queued)
        yield GaugeMetricFamily("hookline_accepting", "Whether this node accepts.", value=float(health.accepting))
        yield GaugeMetricFamily(
            "hookline_db_batch_size",
            "Items per transaction, on average since the start.",
            value=stats.committed_items / stats.commits if stats.commits else 0.0,
        )
        yield GaugeMetricFamily(
            "hookline_loop_lag_seconds",
            "The longest that the event loop was late in the last half minute.",
            value=self._runtime.lag.worst_s,
        )
        build = GaugeMetricFamily("hookline_build_info", "This program.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        if self._endpoints:
            endpoints = GaugeMetricFamily("hookline_endpoints", "Endpoints, by state.", labels=["state"])
            for status, count in self._endpoints.items():
                endpoints.add_metric([status.value], count)
            yield endpoints
        if self._backlog is not None:
            yield from self._backlog_gauges(self._backlog)

    def _backlog_gauges(self, backlog: Backlog) -> Iterator[Metric]:
        states = GaugeMetricFamily("hookline_backlog", "Deliveries in the database, by state.", labels=["state"])
        for state, count in (
            ("due", backlog.due),
            ("waiting", backlog.waiting),
            ("leased", backlog.leased),
            ("parked", backlog.parked),
        ):
            states.add_metric([state], count)
        yield states
        yield GaugeMetricFamily("hookline_live_batches", "Batches not settled yet.", value=backlog.batches)
        oldest = backlog.oldest_due_at_ms
        age_s = 0.0 if oldest is None else max(0.0, (self._runtime.clock.now_ms() - oldest) / 1000)
        yield GaugeMetricFamily(
            "hookline_oldest_pending_age_seconds", "How long the oldest due one waits.", value=age_s
        )


def build_router(runtime: Runtime) -> APIRouter:
    """The route for one runtime, with a registry of its own: two servers in one process do not mix."""
    registry = CollectorRegistry()
    collector = NodeCollector(runtime)
    registry.register(collector)
    router = APIRouter(tags=["Health"])

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        await collector.refresh()
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text)
    buckets: list[tuple[str, float]] = []
    seen = 0
    for bound, count in zip((*LATENCY_BUCKETS_S, float("inf")), histogram.counts, strict=True):
        seen += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), seen))
    family.add_metric([], buckets, sum_value=histogram.total_s)
    return family
