"""A small world for the engine to live in: nodes that die, a database that goes away, receivers that do as they like.

Everything is decided by one seed. What happened is written into a ledger, which the tests hold against the database.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hookline.egress import Failure, Outcome, Reason, Request, Response
from hookline.egress.waiting import send_and_wait
from hookline.engine import Draft, Engine, EngineOptions
from hookline.errors import HooklineError
from hookline.model import Endpoint, EndpointStatus, Extras, Message, RetryPolicy
from hookline.store import AppScope, Store, StoreUnavailableError, create_store
from hookline.store.errors import AmbiguousCommitError
from simulation.virtual import VirtualClock, VirtualLoop
from support.samples import WHSEC
from support.store import ORG, application, endpoint

OPTIONS = EngineOptions(
    lane_concurrency=4,
    max_in_flight=12,
    lane_queue=6,
    max_queued=20,
    max_outcomes_per_commit=8,
    max_messages_per_commit=5,
    breaker_failures=4,
    breaker_failing_s=5.0,
    breaker_open_s=4.0,
    breaker_longest_open_s=20.0,
    lease_s=9.0,
    straggler_after_s=3.0,
    rescue_chunk=10,
    stop_grace_s=3.0,
)
SCHEDULE_S = (1.0, 3.0, 8.0)
CALM_RATE = 4
KEYS = 4


class Handle:
    """A request under way. It may be processed by the receiver although its answer never comes."""

    def __init__(self, transport: Network, on_done: Callable[[Outcome], None]) -> None:
        self._transport = transport
        self._on_done = on_done
        self.done = False

    def end(self, outcome: Outcome) -> None:
        if not self.done:
            self.done = True
            self._transport.open.discard(self)
            asyncio.get_running_loop().call_soon(self._on_done, outcome)

    def cancel(self) -> None:
        self.end(Failure(Reason.CANCELED))


class Network:
    """One node's `Transport`. Requests are lost on the way there, processed late, or answered into the void."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: set[Handle] = set()
        self.dead = False

    def start(self, request: Request, on_done: Callable[[Outcome], None]) -> Handle:
        handle = Handle(self, on_done if not self.dead else lambda _outcome: None)
        self.open.add(handle)
        loop, rng = asyncio.get_running_loop(), self.world.rng
        way_s, work_s, fate = self.world.fate_of(request)
        loop.call_later(request.timeout_s, handle.end, Failure(Reason.TIMEOUT_TOTAL))
        if fate == "lost":
            loop.call_later(way_s, handle.end, Failure(Reason.CONNECTION_RESET))
            return handle

        def process() -> None:
            answer = self.world.receive(request)
            if rng.random() < self.world.trouble * 0.1:
                answer = Failure(Reason.CLOSED_EARLY)  # it was processed, but nobody learns of it
            loop.call_later(work_s, handle.end, answer)

        loop.call_later(way_s, process)
        return handle

    async def send(self, request: Request) -> Outcome:
        return await send_and_wait(self, request)

    def abort_all(self, reason: Reason) -> None:
        for handle in list(self.open):
            handle.end(Failure(reason))

    async def close(self) -> None:
        self.abort_all(Reason.CANCELED)


class Connection:
    """One node's way to the database: answers get lost, it goes away, and the node behind it may be dead."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.world.store, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._arrive()
            result = await found(*args, **kwargs)
            if name == "commit":
                self.world.note_commit(args[0], result)
            await self._return(name, result)
            return result

        return call

    async def _arrive(self) -> None:
        if self.dead:
            await asyncio.Event().wait()
        if self.world.away:
            await asyncio.sleep(self.world.rng.choice((0.0, 0.5)))
            raise StoreUnavailableError("away")

    async def _return(self, name: str, result: Any) -> None:
        if self.dead:
            await asyncio.Event().wait()
        if self.world.rng.random() < self.world.trouble * 0.02:
            if name == "commit":
                raise AmbiguousCommitError("the answer was lost", result=result)
            if name not in {"claim", "register_node"}:
                # a lost claim frees its rows when its node ends; the stores themselves see to that, not this world
                raise StoreUnavailableError("the answer was lost")


class Node:
    """An engine with its own connection and network."""

    def __init__(self, world: World) -> None:
        self.connection = Connection(world)
        self.network = Network(world)
        self.engine = Engine(self.connection, self.network, OPTIONS, clock=world.clock, rng=world.rng)

    async def kill(self) -> None:
        """Die as a process does: nothing is given back, nothing is told."""
        self.connection.dead = self.network.dead = True
        engine = self.engine
        services = [
            engine.heartbeat,
            engine.pacer,
            engine.claimer,
            engine.prober,
            engine.rescuer,
            engine.relay,
            engine.pruner,
        ]
        tasks = [*engine.committer._tasks, *engine.dispatcher._loads]
        tasks += [service._task for service in services if service._task is not None]
        engine.dispatcher.halt("dead")
        if engine.heartbeat._guard is not None:
            engine.heartbeat._guard.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for handle in list(self.network.open):
            handle.done = True


class World:
    """The stage. `trouble` from 0 to 1 says how bad the times are."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, trouble: float) -> None:
        self.loop = loop
        self.rng = rng
        self.trouble = trouble
        self.clock = VirtualClock(loop)
        self.store: Store = create_store("sqlite:///:memory:", key_ring=None, clock=self.clock)
        self.away = False
        self.nodes: list[Node] = []
        self.endpoints: dict[str, Endpoint] = {}
        self.receipts: list[Message] = []
        self.arrivals: Counter[tuple[str, str]] = Counter()  # (host, message): how often it was processed
        self.welcomed: Counter[tuple[str, str]] = Counter()  # ... and answered with a success
        self.moments: dict[str, list[float]] = defaultdict(list)  # of requests on their way
        self.first_arrivals: dict[str, list[str]] = defaultdict(list)
        self.keys: dict[str, bytes] = {}  # of messages: their payloads
        self.committed: list[str] = []  # messages in the order in which they were committed
        self._bad_until_s: dict[str, float] = {}

    async def build(self) -> None:
        await self.store.migrate()
        await self.store.open(engine=True)
        self.app = await self.store.create_application(application())
        secret = msgspec.structs.replace(endpoint("x").secrets[0], key=WHSEC)
        kinds = {
            "good": {},
            "flaky": {},
            "slow": {},
            "turns": {"ordered": True},
            "keyed": {"ordered": True, "extras": Extras(order_key="key")},
            "calm": {"throttle_rate": CALM_RATE},
        }
        for name, changes in kinds.items():
            self.endpoints[name] = await self.store.create_endpoint(
                endpoint(
                    self.app.id,
                    url=f"https://{name}.example/",
                    secrets=(secret,),
                    policy=RetryPolicy(schedule_s=SCHEDULE_S, jitter=0.2, timeout_s=6.0, retry_after_cap_s=20.0),
                    **changes,
                )
            )
        for _ in range(2):
            await self.add_node()

    @property
    def scope(self) -> AppScope:
        return AppScope(ORG, self.app.id)

    async def add_node(self) -> None:
        node = Node(self)
        while True:
            try:
                await node.engine.start()
            except HooklineError:
                await asyncio.sleep(0.5)
            else:
                break
        self.nodes.append(node)

    def note_commit(self, change: Any, result: Any) -> None:
        for index, new in enumerate(change.messages):
            if index not in result.duplicates and index not in result.taken:
                self.committed.append(new.message.id)
                self.keys[new.message.id] = new.message.payload

    # Receivers

    def fate_of(self, request: Request) -> tuple[float, float, str]:
        """How long it takes to get there, how long the answer takes, and whether it gets there at all."""
        self.moments[host(request)].append(self.loop.now_s)
        slow = host(request) == "slow" or self.rng.random() < self.trouble * 0.1
        way_s = self.rng.uniform(0.001, 0.05)
        work_s = self.rng.choice((0.1, 2.0, 5.0, 9.0)) if slow and self.trouble else self.rng.uniform(0.001, 0.05)
        return way_s, work_s, "lost" if self.rng.random() < self.trouble * 0.05 else "arrives"

    def receive(self, request: Request) -> Response:
        name, message_id = host(request), dict(request.headers)["webhook-id"]
        if not self.arrivals[name, message_id]:
            self.first_arrivals[name].append(message_id)
        self.arrivals[name, message_id] += 1
        if self.loop.now_s < self._bad_until_s.get(name, 0.0):
            return Response(503)
        if name == "flaky" and self.trouble:
            dice = self.rng.random()
            if dice < 0.02:
                return Response.scripted(410)
            if dice < 0.2:
                return Response.scripted(429, {"retry-after": str(self.rng.choice((1, 5, 15)))})
            if dice < 0.5:
                return Response(500)
        self.welcomed[name, message_id] += 1
        return Response(200)

    # What happens

    async def publish(self) -> None:
        node = self.rng.choice(self.nodes)
        payload = b'{"key":%d}' % self.rng.randrange(KEYS)
        try:
            receipt = await node.engine.ingest.accept(Draft(ORG, self.app.id, "order.created", payload))
        except HooklineError:
            return  # it was told no, and sends again or not: nothing is owed
        self.receipts.append(receipt.message)

    async def misfortune(self) -> None:
        """One thing that goes wrong."""
        kind = self.rng.choice(("kill", "away", "bad", "bad", "freeze", "retire", "pause"))
        if kind in {"kill", "retire"}:
            node = self.nodes.pop(self.rng.randrange(len(self.nodes)))
            await (node.kill() if kind == "kill" else node.engine.stop())
            await self.add_node()
        elif kind == "away":
            self.away = True
            await asyncio.sleep(self.rng.choice((0.2, 2.0, 12.0)))
            self.away = False
        elif kind == "bad":
            name = self.rng.choice(list(self.endpoints))
            self._bad_until_s[name] = self.loop.now_s + self.rng.choice((1.0, 10.0, 20.0))
        elif kind == "freeze":
            node = self.rng.choice(self.nodes)
            await self.store.renew_lease(node.engine.lease.node, -1.0)  # its lease ends behind its back
        else:
            name = self.rng.choice(list(self.endpoints))
            await self.set_status(name, EndpointStatus.PAUSED)
            await asyncio.sleep(self.rng.uniform(0.1, 5.0))
            await self.set_status(name, EndpointStatus.ENABLED)

    async def set_status(self, name: str, status: EndpointStatus) -> None:
        current = await self.store.get_endpoint(self.scope, self.endpoints[name].id)
        changed = msgspec.structs.replace(current, status=status, updated_at_ms=self.clock.now_ms())
        await self.store.update_endpoint(changed)

    async def heal(self) -> None:
        """Good times: everything works, everybody is there."""
        self.trouble = 0.0
        self.away = False
        self._bad_until_s.clear()
        for name in self.endpoints:
            await self.set_status(name, EndpointStatus.ENABLED)

    async def owes_nothing(self) -> bool:
        backlog = await self.store.backlog(self.clock.now_ms())
        return not (backlog.due or backlog.waiting or backlog.leased or backlog.parked or backlog.batches)

    async def end(self) -> None:
        for node in self.nodes:
            await node.engine.stop()
        await self.store.close()


def host(request: Request) -> str:
    return (urlsplit(request.url).hostname or "").split(".")[0]
