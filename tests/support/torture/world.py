"""Everything that one torture run needs, put together: database, nodes, receiver, publishers, ledger.

async with World(Options(database="postgres", nodes=2), directory) as world:
    ...                                  # messages flow; kill whatever you like
    report = await world.finish()        # publishers stop, everybody runs, all that is owed must arrive
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import secrets
import shutil
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hookline.store import KeyRing
from support.postgres import PostgresServer
from support.tcp_proxy import TcpProxy
from support.torture.ledger import Ledger, Report, Target
from support.torture.node import Node
from support.torture.publisher import Answer, Client, Publisher
from support.torture.receiver import Receiver

EVENT_TYPES = ("order.created", "order.paid", "step.taken")
TARGETS = (
    Target("steady", event_types=EVENT_TYPES),
    Target("flaky", event_types=EVENT_TYPES, faults=0.25),
    Target("slow", event_types=("order.created", "step.taken"), slow_s=0.4),
    Target("ordered", event_types=("step.taken",), ordered=True, faults=0.1),
    Target("keyed", event_types=("step.taken",), ordered=True, keys=True, faults=0.15, slow_s=0.2),
    Target("sluggish", event_types=("chore.queued",), ordered=True, slow_s=0.6),
)
# Enough for two bad answers and for the attempts that crashes cost, and over soon.
RETRY_SCHEDULE_S = "0.2,0.3,0.5,0.5,1,1,1,2,2,2,2,2"
STALL_S = 75.0  # longer than the longest thing that heals itself: a node's own lost batches, at 30 to 45 s
SUPERVISED_EVERY_S = 1.0


@dataclass(frozen=True)
class Options:
    """`rate` is about how many messages a second all publishers send together; `disk` where the database is kept."""

    database: str = "sqlite"
    nodes: int = 1
    seed: int = 0
    lease_s: float = 2.0
    rate: float = 120.0
    proxied: bool = False
    disk: Path | None = None


class World:
    """A run under load, from `async with` to `finish`."""

    def __init__(self, options: Options, directory: Path) -> None:
        self.options = options
        self.directory = directory
        self.rng = random.Random(options.seed)
        self.ledger = Ledger(directory / "acknowledged.log", TARGETS)
        self.postgres: PostgresServer | None = None
        self.proxy: TcpProxy | None = None
        self.nodes: list[Node] = []
        self.publishers: list[Publisher] = []
        self._secret = "whsec_" + base64.b64encode(self.rng.randbytes(32)).decode()
        self._open = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._database = ""
        self._token = ""
        self._app_path = ""

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._open.aclose()

    async def _build(self) -> None:
        environment = await self._open_database()
        self.receiver = await self._open.enter_async_context(Receiver(self.ledger, self.options.seed, self._secret))
        for number in range(self.options.nodes):
            node = Node(f"node{number + 1}", self.directory, environment)
            self.nodes.append(node)
            self._open.push_async_callback(node.kill)
        await self.start_nodes()
        self._token = await asyncio.to_thread(self.nodes[0].run, "token")
        self._app_path = f"/api/v1/app/{(await self.create('/api/v1/app', name='torture'))['id']}"
        for target in TARGETS:
            await self.create(
                f"{self._app_path}/endpoint",
                url=self.receiver.url_of(target),
                secret=self._secret,
                eventTypes=list(target.event_types) if target.event_types else None,
                ordered=target.ordered,
                orderedBy="key" if target.keys else None,
            )
        self._publish()

    async def _open_database(self) -> dict[str, str]:
        options = self.options
        environment = {
            "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
            "HOOKLINE_RETRY_SCHEDULE": RETRY_SCHEDULE_S,
            "HOOKLINE_LEASE_S": str(options.lease_s),
            "HOOKLINE_CLAIM_POLL_S": "0.2",
            "HOOKLINE_LOG_FORMAT": "json",
        }
        if options.database == "sqlite":
            return environment | {"HOOKLINE_DATABASE_URL": f"sqlite:///{options.disk or self.directory}/hookline.db"}
        self.postgres = PostgresServer()  # as durable as in production
        self._open.callback(self.postgres.remove)
        await asyncio.to_thread(self.postgres.start)
        url = await asyncio.to_thread(self._create_database, self.postgres)
        if options.proxied:
            self.proxy = await self._open.enter_async_context(TcpProxy(self.postgres.port))
            url = url.replace(f":{self.postgres.port}/", f":{self.proxy.port}/")
        return environment | {
            "HOOKLINE_DATABASE_URL": url,
            "HOOKLINE_ENCRYPTION_KEY": KeyRing.generate().to_text(),
            "HOOKLINE_JWT_SECRET": secrets.token_urlsafe(48),
        }

    def _create_database(self, postgres: PostgresServer) -> str:
        self._database = "small"
        if self.options.disk is None:
            self._database = postgres.create_database()
            return postgres.dsn(self._database)
        directory = self.options.disk / "tables"
        directory.mkdir()
        if os.getuid() == 0:
            shutil.chown(directory, "nobody")  # as whom PostgreSQL then runs
        postgres.execute(f"CREATE TABLESPACE small LOCATION '{directory}'")
        postgres.execute("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
        return postgres.dsn("small")

    def _publish(self) -> None:
        kinds = [(("order.created", "order.paid"), keyed) for keyed in (True, False, True, False)]
        pause_s = len(kinds) / self.options.rate
        for number, (event_types, keyed) in enumerate(kinds):
            self.add_publisher(f"bulk{number}", event_types, pause_s=pause_s, keyed=keyed)
        self.add_publisher("steps", ("step.taken",), pause_s=0.1, keyed=True)

    def add_publisher(self, name: str, event_types: tuple[str, ...], *, pause_s: float, keyed: bool) -> Publisher:
        """Let one more publisher send, until it or everything is stopped."""
        publisher = Publisher(
            self.ledger,
            name,
            self._token,
            f"{self._app_path}/msg",
            lambda: [node.port for node in self.nodes],
            event_types=event_types,
            keyed=keyed,
            pause_s=pause_s,
            rng=random.Random(f"{self.options.seed} {name}"),
        )
        self.publishers.append(publisher)
        self._tasks.append(asyncio.create_task(publisher.run(), name=name))
        return publisher

    # For those who torture

    async def ask(self, method: str, path: str, body: bytes = b"", *, node: int = 0) -> Answer:
        """Make one API request on a connection of its own."""
        client = Client(self._token)
        try:
            return await client.request(self.nodes[node].port, method, path, body)
        finally:
            client.close()

    async def create(self, path: str, **members: Any) -> Any:
        answer = await self.ask("POST", path, json.dumps(members).encode())
        assert answer.status in {200, 201}, answer.body
        return answer.json()

    async def send(self, *, node: int = 0, filler_bytes: int = 0) -> Answer:
        """Send one message that is for nobody, and see the answer."""
        body = b'{"eventType":"nobody.wants","payload":{"filler":"%b"}}' % (b"x" * filler_bytes)
        return await self.ask("POST", f"{self._app_path}/msg", body, node=node)

    async def start_nodes(self) -> None:
        """Start every node that is down, all at once."""
        await asyncio.gather(*(node.start() for node in self.nodes if not node.is_running))

    async def count_fenced_nodes(self) -> int:
        """Ask PostgreSQL how many nodes have been declared dead and not come back."""
        assert self.postgres is not None
        sql = "SELECT count(*) FROM hookline_nodes WHERE fenced"
        return int(await asyncio.to_thread(self.postgres.execute, sql, dbname=self._database))

    async def flow(self, messages: int, timeout_s: float = 60.0) -> None:
        """Wait until so many more messages have been acknowledged."""
        goal = len(self.ledger.acked) + messages
        ends_s = time.monotonic() + timeout_s
        while not await self.ledger.until(lambda: len(self.ledger.acked) >= goal, SUPERVISED_EVERY_S):
            self._check_publishers()
            self._revive()
            if time.monotonic() > ends_s:
                logs = "\n".join(f"{node.name}:\n{node.read_log()}" for node in self.nodes)
                raise AssertionError(f"no {messages} messages were accepted in {timeout_s} s\n{logs}")

    def _check_publishers(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()  # raises what ended it

    def _revive(self) -> None:
        for node in self.nodes:
            code = node.revive()
            if code is not None:
                self.ledger.report.self_ended += 1
                if self.postgres is None:  # with PostgreSQL, a node that starts while there is no database ends
                    self.ledger.report.unexpected.append(f"{node.name} ended by itself with {code}")

    async def finish(self) -> Report:
        """Stop publishing, let every node run, wait for all that is owed, and judge."""
        for publisher in self.publishers:
            publisher.stop()
        self._revive()
        for node in self.nodes:
            await node.await_ready()
        await asyncio.gather(*self._tasks)
        await self.ledger.until_settled(STALL_S)
        fates = [await self._fate_of(*pair) for pair in sorted(self.ledger.owed)[:5]]
        for node in self.nodes:
            await node.stop()
        report = self.ledger.close()
        report.unexpected += [f"what became of a lost one: {fate}" for fate in fates]
        return report

    async def _fate_of(self, message_id: str, target: str) -> str:
        """What the server knows of a message that did not arrive at some target."""
        answer = await self.ask("GET", f"{self._app_path}/attempt/msg/{message_id}?limit=50")
        names = ("url", "statusText", "reason", "attemptNumber", "final")
        attempts = [{name: one.get(name) for name in names} for one in answer.json().get("data", [])]
        return f"{message_id}, owed to {target}: {attempts}"
