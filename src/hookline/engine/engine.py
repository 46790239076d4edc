"""The engine: everything between «accepted» and «delivered», assembled.

    stopped ──start──> registered, own and dead nodes' work rescued ──> running
    running ──database away──> halted: nothing is accepted, nothing is sent, outcomes wait ──back──> running
    running ──lease ended──> cut: requests aborted ──renewed or refenced──> running
    running ──stop──> draining: nothing new; in flight until the grace ends ──> leases given back, stopped

`role` `api` accepts, relays and dispatches what it accepted; `worker` claims, probes, rescues and prunes; `all` does
both.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Literal

from hookline.clock import Clock, SystemClock
from hookline.egress import Reason, Transport
from hookline.engine.background import Background
from hookline.engine.claimer import Claimer
from hookline.engine.committer import Committer
from hookline.engine.delivery import Delivery
from hookline.engine.dispatcher import Dispatcher
from hookline.engine.heartbeat import Heartbeat
from hookline.engine.ingest import Ingest
from hookline.engine.judge import Judge
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.pacer import Pacer
from hookline.engine.prober import Prober
from hookline.engine.pruner import Pruner
from hookline.engine.recorder import EngineRecorder
from hookline.engine.relay import Relay
from hookline.engine.rescuer import Rescuer
from hookline.engine.routing import Routing
from hookline.engine.stats import Stats
from hookline.engine.trial import Trial
from hookline.engine.work import WaitingOutcome
from hookline.errors import HooklineError
from hookline.model.ids import NODE, new_id
from hookline.model.policy import Random
from hookline.store.changes import Disable
from hookline.store.errors import StoreUnavailableError
from hookline.store.protocol import Store

log = logging.getLogger("hookline.engine")

Role = Literal["all", "api", "worker"]

TIDY_LANES_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """What `/readyz` wants to know. `reason` is set when the engine does not accept."""

    accepting: bool
    draining: bool
    lease_valid: bool
    database: bool
    in_flight: int
    queued: int
    reason: str | None


class Engine:
    """One node. `store` must be open with `engine=True`; the transport is closed by whoever made it."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        options: EngineOptions | None = None,
        *,
        clock: Clock | None = None,
        rng: Random | None = None,
        node_id: str | None = None,
        role: Role = "all",
    ) -> None:
        self.options = options or EngineOptions()
        self.store = store
        self.transport = transport
        self.clock = clock or SystemClock()
        self.node_id = node_id or new_id(NODE)
        self.role = role
        self.stats = Stats()
        self.lease = Lease(self.clock, self.options.lease_s)
        self.routing = Routing(store, self.options)
        self.committer = Committer(store, self.routing, self.lease, self.clock, self.options, self.stats)
        rng = rng or random.Random()  # noqa: S311  (jitter, not a secret)
        self.pacer = Pacer(store, self.clock, rng)
        self.dispatcher = Dispatcher(transport, self.routing, self.pacer, self.lease, self.clock, self.options)
        self.trial = Trial(transport, self.dispatcher.errands, self.clock, self.options)
        self.recorder = EngineRecorder(
            self.committer,
            self.clock,
            rng,
            self.options,
            self.stats,
        )
        self.ingest = Ingest(self.committer, self.routing, self.options, self.stats)
        self.claimer = Claimer(store, self.dispatcher, self.lease, self.clock, self.options)
        self.prober = Prober(self.dispatcher, self.claimer, self.lease, self.clock, self.options)
        self.rescuer = Rescuer(
            store,
            self.committer.batches,
            self.lease,
            self.clock,
            self.options,
            self.stats,
            on_rescued=self.claimer.wake,
            sweep=self.recorder.spill_stragglers,
            others=role != "api",
        )
        self.relay = Relay(store, self.ingest, self.clock, self.options)
        self.pruner = Pruner(store, self.clock, self.options)
        self.judge = Judge(store, self.lease, self.clock, self.options, on_disabled=self.disabled)
        self.heartbeat = Heartbeat(
            store, self.lease, self.clock, refence=self.refence, on_cut=self._cut, on_renewed=self._renewed
        )
        self._database = True
        self._draining = False
        self._running = False
        self._was_cut = False
        self._tidied_s = self.clock.monotonic_s()
        self._refencing = asyncio.Lock()
        self.dispatcher.recorder = self.recorder
        self.dispatcher.on_slots_free = self.claimer.note_slot
        self.committer.listener = self
        self.committer.refence = self.refence
        self.committer.make_room = self._make_room

    # Life

    async def start(self) -> None:
        """Register, rescue what can be rescued, accept."""
        self.store.subscribe(self._heard)
        asked_at_s = self.clock.monotonic_s()
        self.lease.renewed(await self.store.register_node(self.node_id, self.options.lease_s), asked_at_s)
        self.committer.start()
        self.heartbeat.start()
        if self.role != "api":
            try:
                rescued = await self.rescuer.rescue_all()
            except BaseException:
                await self.heartbeat.stop()
                await self.committer.stop()
                raise
            if rescued:
                log.info("rescued", extra={"action": "rescued", "deliveries": rescued})
        for service in self._services():
            service.start()
        self._running = True
        self.ingest.accepting = self.role != "worker"

    async def stop(self, grace_s: float | None = None) -> None:
        """Stop accepting and claiming, finish what is in flight within the grace, give back leases."""
        if not self._running:
            return
        self._running = False
        self._draining = True
        self.ingest.accepting = False
        await asyncio.gather(*(service.stop() for service in self._services()))
        await self.ingest.drain()
        self.committer.flush()
        self.dispatcher.spill_queues()
        grace_s = self.options.stop_grace_s if grace_s is None else grace_s
        if not await self.dispatcher.wait_idle(grace_s):
            # Failure policy: what did not finish in time goes back to `pending`; its receiver may see it twice.
            log.warning("cut at the end of the grace", extra={"action": "cut", "requests": self.dispatcher.in_flight})
            self.transport.abort_all(Reason.CANCELED)
            await self.dispatcher.wait_idle(1.0)
        self.dispatcher.close()
        await self.committer.stop()
        await self.heartbeat.stop()
        try:
            await self.store.retire_node(self.lease.node)
        except StoreUnavailableError:
            # Failure policy: open. The lease ends by itself and others rescue what is left.
            log.warning("leases not given back: the database is away", extra={"action": "retire_failed"})
        self._draining = False

    def _services(self) -> list[Background]:
        if self.role == "api":
            return [self.pacer, self.rescuer, self.relay]
        services: list[Background] = [self.pacer, self.claimer, self.prober, self.rescuer, self.pruner, self.judge]
        return services if self.role == "worker" else [*services, self.relay]

    def health(self) -> EngineHealth:
        reason = None
        if self._draining:
            reason = "the server is stopping"
        elif not self._running:
            reason = "the engine is not started"
        elif not self._database:
            reason = "the database does not answer"
        elif not self.lease.valid():
            reason = "this node's lease has ended"
        return EngineHealth(
            accepting=self.ingest.accepting and reason is None,
            draining=self._draining,
            lease_valid=self.lease.valid(),
            database=self._database,
            in_flight=self.dispatcher.in_flight,
            queued=self.dispatcher.queued(),
            reason=reason,
        )

    # What the committer tells

    def accepted(self, deliveries: list[Delivery], ordered: set[str]) -> None:
        self.dispatcher.offer_all(deliveries)
        if ordered:
            self.claimer.wake()

    def recorded(self, outcomes: list[WaitingOutcome]) -> None:
        soonest: int | None = None
        for item in outcomes:
            if item.disable is not None:
                self.routing.invalidate(item.disable.app_id)
            if item.retry_at_ms is not None and (soonest is None or item.retry_at_ms < soonest):
                soonest = item.retry_at_ms
            if item.lane is not None:
                self.dispatcher.recorded(item.lane)
                if item.lane.keyed or (not item.lane.queue and not item.lane.in_flight):
                    self.claimer.wake()
        if soonest is not None:
            self.claimer.note_due(soonest)

    def disabled(self, disable: Disable) -> None:
        self.routing.invalidate(disable.app_id)
        self.stats.disabled[disable.reason] += 1
        log.warning(
            "endpoint disabled",
            extra={"action": "endpoint_disabled", "endpoint": disable.endpoint_id, "reason": disable.reason},
        )

    def spilled(self, due_at_ms: int) -> None:
        self.claimer.note_due(due_at_ms)

    def database_lost(self, error: HooklineError) -> None:
        self._database = False
        self.rescuer.wait_a_lease()
        self.dispatcher.halt("database")
        log.error("the database does not answer", extra={"action": "database_lost", "reason": error.message})

    def database_back(self) -> None:
        self._database = True
        self.rescuer.wait_a_lease()
        self.dispatcher.resume("database")
        self.claimer.wake()
        log.info("the database answers again", extra={"action": "database_back"})

    async def _make_room(self) -> None:
        """Acceptance outruns delivery: let deliveries go first for a moment."""
        threshold = self.options.congestion_threshold
        if self._draining or self.dispatcher.queued() <= threshold:  # the usual case: nothing to count
            return
        if self.dispatcher.congestion() > threshold:
            await asyncio.sleep(self.options.congestion_pause_s)

    # Lease

    def _cut(self) -> None:
        """The lease has ended by our own clock: another node may act for us from now on."""
        self.stats.leases_lost += 1
        self._was_cut = True
        self.dispatcher.halt("lease")
        self.transport.abort_all(Reason.LEASE_LOST)
        log.error("lease ended, requests cut", extra={"action": "lease_ended"})

    def _renewed(self) -> None:
        if self._was_cut:
            self._was_cut = False
            self.rescuer.wait_a_lease()
        self.dispatcher.resume("lease")
        now_s = self.clock.monotonic_s()
        if now_s - self._tidied_s >= TIDY_LANES_EVERY_S:
            self._tidied_s = now_s
            self.dispatcher.forget_idle_lanes()

    async def refence(self) -> None:
        """This node was declared dead: a new epoch, and nothing of the old one is ours any more.

        What is still in flight is cut; its outcomes are recorded as late. Raises StoreUnavailableError.
        """
        async with self._refencing:
            asked_at_s = self.clock.monotonic_s()
            if await self.store.renew_lease(self.lease.node, self.lease.lease_s):
                self.lease.renewed(self.lease.node, asked_at_s)  # somebody else refenced while we waited
                return
            self.stats.leases_lost += 1
            self.lease.lost()
            self.dispatcher.halt("lease")
            self.transport.abort_all(Reason.LEASE_LOST)
            self.dispatcher.drop_queues()
            self.committer.batches.forget_all()
            asked_at_s = self.clock.monotonic_s()
            node = await self.store.register_node(self.node_id, self.options.lease_s)
            self.lease.renewed(node, asked_at_s)
            self.rescuer.wait_a_lease()  # those who were away together come back together
            log.warning("declared dead, registered again", extra={"action": "refenced", "epoch": node.epoch})
        self.dispatcher.resume("lease")

    # Wake-ups

    def _heard(self, topic: str, subject: str) -> None:
        if topic == "routing":
            self.routing.invalidate(subject)
            self.dispatcher.refresh(subject)
            self.pruner.wake()
            self.claimer.wake()
        elif topic == "lane":
            self.claimer.wake()
        elif topic == "expunged":
            self.dispatcher.let_go(subject)
        elif topic == "outbox":
            self.relay.wake()
        elif topic == "resync":
            # Notifications may have been missed: everything may have changed.
            self.routing.invalidate_all()
            self.claimer.wake()
            self.relay.wake()
        # Other topics are for others: the bus is one for all of them.
