"""A rig for the engine: real engines over a real store, receivers that follow a script, and a clock moved by hand.

Everything that happens (a request starts, the store has answered) sets off a pulse; tests wait for what they expect
with `until`, which looks again at each pulse.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import sqlite3
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec

from hookline.clock import ManualClock, SystemClock
from hookline.egress import Failure, Reason, Request, Response
from hookline.egress.memory import MemoryExchange, MemoryTransport
from hookline.engine import Draft, Engine, EngineOptions, Receipt
from hookline.model import Application, Attempt, Endpoint, EndpointStatus, Message, RetryPolicy
from hookline.store import AppScope, DeliveryView, KeyRing, MessageFilter, Page, Store, create_store
from support.samples import WHSEC
from support.store import ORG, application, endpoint

KEY_RING = KeyRing.from_text("k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
PATIENCE_S = 10.0
HANG = None
Behaviour = Response | Failure | None
EVERYTHING = Page(limit=250, ascending=True)

OPTIONS = EngineOptions(
    outcome_wait_s=0.002,
    claim_poll_s=0.02,
    rescue_every_s=0.02,
    tidy_every_s=0.02,
    relay_poll_s=0.02,
    stop_grace_s=0.2,
    lease_s=1e6,  # tests move the clock far; those about leases choose their own
)


def status(code: int, **headers: str) -> Response:
    return Response.scripted(code, {name.replace("_", "-"): value for name, value in headers.items()})


class Pulse:
    """Wakes everybody who waits for something to change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self) -> None:
        try:
            async with asyncio.timeout(0.05):  # for what makes no pulse, such as a timer of the engine's own
                await self._event.wait()
        except TimeoutError:
            pass

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until `holds`, a function or a coroutine function, gives something true; that."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = self._event
                found = holds()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                if event is self._event:
                    await self.wait()
                await asyncio.sleep(0)  # asking makes a pulse, too: let others run


class WatchedStore:
    """A real store that can be taken away. `before[name]` is awaited before that call and may raise; so may `after`.

    A `dead` one never answers again: what it was asked before may still happen, but nobody learns of it.
    """

    def __init__(self, real: Store, pulse: Pulse) -> None:
        self.real = real
        self.pulse = pulse
        self.calls: dict[str, int] = defaultdict(int)
        self.commits: list[Any] = []
        self.before: dict[str, Callable[..., Awaitable[None]]] = {}
        self.after: dict[str, Callable[..., Awaitable[None]]] = {}
        self.away: Exception | None = None
        self.dead = False
        self.active = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            try:
                if self.away is not None:
                    raise self.away
                if name in self.before:
                    await self.before[name](*args)
                result = await self._ask(found, *args, **kwargs)
                if name == "commit":
                    self.commits.append(args[0])
                if name in self.after:
                    await self.after[name](*args)
                return result
            finally:
                self.pulse()

        return call

    async def _ask(self, found: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self.dead:
            self.active += 1
            try:
                result = await found(*args, **kwargs)
            finally:
                self.active -= 1
            if not self.dead:
                return result
        return await asyncio.Event().wait()


class Receivers(MemoryTransport):
    """Each host name follows its plan: outcomes in order, the last one again and again. Without a plan: 200."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(self._answer)
        self.pulse = pulse
        self._plans: dict[str, deque[Behaviour]] = {}

    def plan(self, name: str, *behaviours: Behaviour) -> None:
        self._plans[name] = deque(behaviours)

    def _answer(self, request: Request) -> Behaviour:
        self.pulse()
        plan = self._plans.get(host(request))
        if plan is None:
            return Response(200)
        return plan.popleft() if len(plan) > 1 else plan[0]

    def calls(self, name: str) -> list[Request]:
        return [request for request in self.requests if host(request) == name]

    def ids(self, name: str) -> list[str]:
        """The messages that this receiver was sent, in order, again if it was sent them again."""
        return [header(request, "webhook-id") for request in self.calls(name)]

    def open(self, name: str) -> list[MemoryExchange]:
        """Requests that hang at this receiver."""
        return [exchange for exchange in self.hanging if host(exchange.request) == name]

    def release(self, name: str, behaviour: Response | Failure | None = None, *, count: int | None = None) -> None:
        for exchange in self.open(name)[:count]:
            exchange.release(behaviour or Response(200))


def host(request: Request) -> str:
    return (urlsplit(request.url).hostname or "").split(".")[0]


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]


class Rig:
    """One application; engines and endpoints are made as a test needs them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pulse = Pulse()
        self.clock = ManualClock(SystemClock().now_ms())
        self.store = WatchedStore(create_store(url, key_ring=KEY_RING, clock=self.clock), self.pulse)
        self.receivers = Receivers(self.pulse)
        self.app: Application
        self.engines: list[Engine] = []
        self.stores: dict[Engine, WatchedStore] = {}
        self.until = self.pulse.until

    async def open(self) -> None:
        await self.store.migrate()
        await self.store.open(engine=True)
        self.app = await self.store.create_application(application())

    async def close(self) -> None:
        self.store.away = None
        self.store.before.clear()
        self.store.after.clear()
        for engine in self.engines:
            self.stores[engine].away = None
            self.stores[engine].before.clear()
            self.stores[engine].after.clear()
            await engine.stop(0)
        await self.receivers.close()
        await self.store.close()

    @property
    def scope(self) -> AppScope:
        return AppScope(ORG, self.app.id)

    async def engine(self, *, start: bool = True, own_store: bool = False, **settings: Any) -> Engine:
        """Make a node; settings are engine options, or `role`, `transport`. Its store is the rig's, or one to kill."""
        role = settings.pop("role", "all")
        transport = settings.pop("transport", self.receivers)
        options = dataclasses.replace(OPTIONS, **settings)
        store = WatchedStore(self.store.real, self.pulse) if own_store else self.store
        engine = Engine(store, transport, options, clock=self.clock, role=role)
        engine.claimer._note_empty = lambda *_: None  # it leaves lanes alone for a while, by a clock that stands still
        self.engines.append(engine)
        self.stores[engine] = store
        if start:
            await engine.start()
        return engine

    async def kill(self, engine: Engine) -> None:
        """End a node as a crash would: its tasks are gone, nothing is given back; then its lease ends, too."""
        self.engines.remove(engine)
        store = self.stores[engine]
        assert store is not self.store, "make it with own_store=True"
        store.dead = True
        await self.until(lambda: not store.active)
        tasks = [*engine.committer._tasks]
        services = [
            engine.heartbeat,
            engine.pacer,
            engine.claimer,
            engine.prober,
            engine.rescuer,
            engine.relay,
            engine.pruner,
            engine.judge,
        ]
        tasks += [service._task for service in services if service._task is not None]
        if engine.heartbeat._guard is not None:
            engine.heartbeat._guard.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        engine.dispatcher.halt("dead")
        engine.committer._tasks.clear()
        await self.end_lease(engine)

    async def end_lease(self, engine: Engine) -> None:
        """Let the database believe that a node's lease has ended."""
        await self.store.real.renew_lease(engine.lease.node, -1.0)

    async def endpoint(self, name: str, *, schedule_s: tuple[float, ...] = (1, 1), **changes: Any) -> Endpoint:
        """Make an endpoint at https://{name}.example/ that takes everything and is tried three times."""
        given = {
            "url": f"https://{name}.example/",
            "secrets": (msgspec.structs.replace(endpoint("x").secrets[0], key=WHSEC),),
            "policy": RetryPolicy(schedule_s=schedule_s, jitter=0.0),
        }
        return await self.store.create_endpoint(endpoint(self.app.id, **given | changes))

    async def change(self, of: Endpoint, **changes: Any) -> Endpoint:
        current = await self.store.get_endpoint(self.scope, of.id)
        self.clock.advance(0.001)
        changed = msgspec.structs.replace(current, updated_at_ms=self.clock.now_ms(), **changes)
        updated = await self.store.update_endpoint(changed)
        assert updated is not None
        return updated

    async def set_status(self, of: Endpoint, to: EndpointStatus) -> Endpoint:
        return await self.change(of, status=to)

    def draft(self, **changes: Any) -> Draft:
        fields = {"org_id": ORG, "app_id": self.app.id, "event_type": "order.created", "payload": b'{"n":1}'}
        return Draft(**fields | changes)

    async def accept(self, engine: Engine, **changes: Any) -> Message:
        return (await engine.ingest.accept(self.draft(**changes))).message

    async def accept_many(self, engine: Engine, count: int, **changes: Any) -> list[Message]:
        """Accept so many at once; in the order of acceptance."""
        receipts: list[Receipt] = await asyncio.gather(
            *(engine.ingest.accept(self.draft(**changes)) for _ in range(count))
        )
        return [receipt.message for receipt in receipts]

    async def rounds(self, count: int = 4) -> None:
        """Let the services look for work so many times: what has not happened then does not happen."""
        seen = self.store.calls["due_lanes"]
        await self.until(lambda: self.store.calls["due_lanes"] >= seen + count)

    # What is on disk

    async def deliveries(self, of: Message) -> list[DeliveryView]:
        return await self.store.real.deliveries_of_message(self.scope, of.id, self.clock.now_ms())

    async def state(self, of: Message) -> str:
        """The state of a message's only delivery."""
        (view,) = await self.deliveries(of)
        return view.state.value

    async def states(self, of: Message) -> list[str]:
        return sorted(view.state.value for view in await self.deliveries(of))

    async def attempts(self, of: Message) -> list[Attempt]:
        """In the order in which they were made."""
        found = await self.store.real.list_attempts_of_message(self.scope, of.id, EVERYTHING, MessageFilter())
        return sorted(found.rows, key=lambda attempt: attempt.id)

    async def reach(self, of: Message, state: str) -> None:
        """Wait until all deliveries of a message are in this state."""

        async def there() -> bool:
            views = await self.deliveries(of)
            return bool(views) and all(view.state.value == state for view in views)

        await self.until(there)

    async def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the tables past the store; or change them, as another process would."""
        if self.url.startswith("sqlite"):
            return await asyncio.to_thread(self.fetch_from_file, sql)  # it may wait for a writer on this very loop
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    def fetch_from_file(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=5.0)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    async def execute(self, sql: str) -> None:
        """Several statements at once, on PostgreSQL."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def count(self, table: str, where: str = "1 = 1") -> int:
        return (await self.fetch(f"SELECT count(*) FROM hookline_{table} WHERE {where}"))[0][0]

    async def live_batches(self) -> int:
        return await self.count("batches", "node_id <> ''")

    async def nothing_owed(self) -> bool:
        return not await self.count("pending") and not await self.live_batches()


CUT = Failure(Reason.CONNECTION_RESET)
