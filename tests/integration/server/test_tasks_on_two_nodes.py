"""Background tasks on two nodes with one PostgreSQL: both work, each message goes once, and either takes a cancel."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from hookline.store import Store
from support.postgres import PostgresServer
from support.server import PATIENCE_S, POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for

TASKS, MESSAGES = 12, 5  # more tasks than one node works on at once


class Watched:
    """A store that notes what its node claims, and holds each step until `may_step` is set."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.claimed: list[str] = []
        self.may_step = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim_tasks(self, *arguments: Any) -> Any:
        claimed = await self._store.claim_tasks(*arguments)
        self.claimed += [one.task.id for one in claimed]
        return claimed

    async def advance_task(self, *arguments: Any) -> Any:
        while not self.may_step.is_set():
            await asyncio.sleep(0.01)
        return await self._store.advance_task(*arguments)


class Nodes:
    """Two servers, and what each of them did."""

    def __init__(self, servers: list[RunningServer], stores: list[Watched]) -> None:
        self.servers = servers
        self.stores = stores

    def let_go(self) -> None:
        for store in self.stores:
            store.may_step.set()


@pytest.fixture
def nodes(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Nodes]:
    stores: list[Watched] = []

    def watch(store: Store) -> Store:
        stores.append(Watched(store))
        return cast("Store", stores[-1])

    url = postgres_server.dsn(postgres_server.create_database())
    settings = settings_for(tmp_path, database_url=url, **POSTGRES_SECRETS)
    with RunningServer(settings, watch) as first, RunningServer(settings, watch) as second:
        nodes = Nodes([first, second], stores)
        yield nodes
        nodes.let_go()


def window() -> dict[str, str]:
    return {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}


def wait_for(http: httpx2.Client, task_id: str) -> dict[str, Any]:
    """The task, once it has ended."""
    until = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    task: dict[str, Any] = {"status": "running"}
    while task["status"] == "running" and datetime.now(UTC) < until:
        task = http.get(f"/background-task/{task_id}").json()
    return task


def send_to_nobody(http: httpx2.Client, app: str) -> list[str]:
    """Messages that come before their endpoint does."""
    assert http.post("/app", json={"name": app, "uid": app}).status_code == 201
    return [
        http.post(f"/app/{app}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"] for _ in range(MESSAGES)
    ]


def ask(http: httpx2.Client, app: str, url: str) -> str:
    assert http.post(f"/app/{app}/endpoint", json={"url": url, "uid": "ep"}).status_code == 201
    task_id: str = http.post(f"/app/{app}/endpoint/ep/replay-missing", json=window()).json()["id"]
    return task_id


def test_both_nodes_work_and_each_message_goes_out_once(nodes: Nodes, receiver: Receiver) -> None:
    first, second = Tenant(nodes.servers[0]), Tenant(nodes.servers[1])
    http, elsewhere = first.http, second.http_with(first.token)
    apps = [f"app{number}" for number in range(TASKS)]
    sent = [message_id for app in apps for message_id in send_to_nobody(http, app)]
    tasks = [ask(http, app, f"{receiver.url}/200/{app}") for app in apps]
    until = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    while not all(store.claimed for store in nodes.stores) and datetime.now(UTC) < until:
        assert elsewhere.get("/background-task?status=running&limit=250").json()["done"]
    nodes.let_go()
    for task_id in tasks:
        task = wait_for(elsewhere, task_id)
        assert (task["status"], task["data"]["messages"]) == ("finished", MESSAGES), task
    claimed = [set(store.claimed) for store in nodes.stores]
    assert all(claimed)
    assert claimed[0] | claimed[1] == set(tasks)
    assert not claimed[0] & claimed[1]
    arrived = Counter(receiver.next().headers["webhook-id"] for _ in sent)
    assert arrived == Counter(dict.fromkeys(sent, 1))
    assert receiver.arrived.empty()
    for tenant in (first, second):
        tenant.close()


def test_any_node_can_be_asked_to_cancel(nodes: Nodes, receiver: Receiver) -> None:
    """Its step is held: it runs, and ends after the step that it is at."""
    first, second = Tenant(nodes.servers[0]), Tenant(nodes.servers[1])
    http, elsewhere = first.http, second.http_with(first.token)
    send_to_nobody(http, "app")
    task_id = ask(http, "app", f"{receiver.url}/200/app")
    until = datetime.now(UTC) + timedelta(seconds=PATIENCE_S)
    while not any(store.claimed for store in nodes.stores) and datetime.now(UTC) < until:
        http.get(f"/background-task/{task_id}")
    other = elsewhere if nodes.stores[0].claimed else http
    answer = other.post(f"/background-task/{task_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    nodes.let_go()
    task = wait_for(other, task_id)
    assert (task["status"], task["state"], task["data"]["reason"]) == ("failed", "canceled", "canceled")
    assert other.post(f"/background-task/{task_id}/cancel").json() == task, "canceled once is canceled"
    for tenant in (first, second):
        tenant.close()
