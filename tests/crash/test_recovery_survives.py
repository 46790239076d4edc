"""A recovery whose server is killed in the middle: every message is put back once, none twice, none left out."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hookline.store import KeyRing
from support.postgres import PostgresServer
from support.torture.node import Node
from support.torture.receiver import Conversation

COUNT = 2_000
PATIENCE_S = 60
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno"
TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Mailbox:
    """A receiver that refuses everything, for good, until it is opened; then it counts what comes."""

    def __init__(self) -> None:
        self.open: set[Any] = set()  # conversations
        self.refused = Counter[str]()
        self.taken = Counter[str]()
        self.is_open = False

    def take(self, _path: str, headers: dict[str, str], _body: bytes) -> tuple[bytes, float]:
        (self.taken if self.is_open else self.refused)[headers["webhook-id"]] += 1
        return (TAKEN if self.is_open else REFUSED), 0.0

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Conversation(self), "127.0.0.1", 0)  # type: ignore[arg-type]
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
        finally:
            server.close()
            for conversation in list(self.open):
                conversation.abort()
            await server.wait_closed()


async def await_so(is_so: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():
            await asyncio.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    environment = {
        "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8",
        "HOOKLINE_LEASE_S": "2",
        "HOOKLINE_LOG_FORMAT": "json",
        "HOOKLINE_DATABASE_URL": f"sqlite:///{tmp_path}/hookline.db",
        "HOOKLINE_JWT_SECRET": secrets.token_urlsafe(48),
    }
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        environment["HOOKLINE_DATABASE_URL"] = server.dsn(server.create_database())
        environment["HOOKLINE_ENCRYPTION_KEY"] = KeyRing.generate().to_text()
    return environment


async def send(client: httpx2.AsyncClient, count: int) -> set[str]:
    waiting = iter(range(count))
    ids: set[str] = set()

    async def post() -> None:
        for number in waiting:
            answer = await client.post("/app/app/msg", json={"eventType": "a.b", "payload": {"n": number}})
            assert answer.status_code == 202, answer.text
            ids.add(answer.json()["id"])

    await asyncio.gather(*(post() for _ in range(8)))
    return ids


async def test_a_recovery_of_2000_messages_goes_on_where_its_server_was_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Killed twice: between a step's effect and its cursor, and right after a step. The endpoint is paused until the
    task has ended, so nothing but the task decides how often a message is owed.
    """
    mailbox, node = Mailbox(), Node("node", tmp_path, environment)
    async with mailbox.listen() as url:
        try:
            await node.start()
            token = await asyncio.to_thread(node.run, "token")
            api = f"http://127.0.0.1:{node.port}/api/v1"
            headers = {"authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(base_url=api, headers=headers, timeout=PATIENCE_S, verify=False) as client:
                await recover_with_two_deaths(client, node, mailbox, url)
        finally:
            await node.kill()


async def recover_with_two_deaths(client: httpx2.AsyncClient, node: Node, mailbox: Mailbox, url: str) -> None:
    await client.post("/app", json={"name": "App", "uid": "app"})
    policy = {"scheduleS": [1], "finalClientErrors": True}
    await client.post("/app/app/endpoint", json={"url": url, "uid": "ep", "policy": policy})
    sent = await send(client, COUNT)
    assert len(sent) == COUNT

    async def all_failed() -> bool:
        if len(mailbox.refused) < COUNT:
            return False
        text = (await client.get(str(client.base_url).replace("/api/v1/", "/metrics"))).text
        return f'reason="http_status"}} {COUNT}' in text

    await await_so(all_failed)
    assert set(mailbox.refused.values()) == {1}
    assert (await client.patch("/app/app/endpoint/ep", json={"paused": True})).status_code == 200
    mailbox.is_open = True

    await node.stop()
    await node.start(HOOKLINE_CRASH_AT="during_task_step:2")
    since = datetime.now(UTC) - timedelta(hours=1)
    started = await client.post("/app/app/endpoint/ep/recover", json={"since": since.isoformat()})
    assert started.status_code == 202, started.text
    await node.await_death()
    await node.start(HOOKLINE_CRASH_AT="after_task_step:2")
    await node.await_death()
    await node.start()
    path = f"/background-task/{started.json()['id']}"

    async def has_ended() -> bool:
        return (await client.get(path)).json()["status"] != "running"

    await await_so(has_ended)
    task = (await client.get(path)).json()
    assert (task["status"], task["data"]["messages"]) == ("finished", COUNT), task
    assert task["progress"] == {"done": COUNT, "total": COUNT, "affected": COUNT}
    assert not mailbox.taken

    assert (await client.patch("/app/app/endpoint/ep", json={"paused": False})).status_code == 200

    async def all_arrived() -> bool:
        return len(mailbox.taken) >= COUNT

    await await_so(all_arrived)
    await node.stop()  # what is on its way arrives, too
    assert mailbox.taken == Counter(dict.fromkeys(sent, 1))
