"""A change that was acknowledged is told, once, however suddenly the server dies afterwards."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from hookline.store import KeyRing
from support.postgres import PostgresServer
from support.server import PATIENCE_S, Receiver
from support.torture.node import Node
from support.torture.publisher import Client

ROUNDS = 4


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    shared = {"HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8", "HOOKLINE_LEASE_S": "1", "HOOKLINE_LOG_FORMAT": "json"}
    if request.param == "sqlite":
        yield shared | {"HOOKLINE_DATABASE_URL": f"sqlite:///{tmp_path}/hookline.db"}
        return
    with PostgresServer() as server:
        yield shared | {
            "HOOKLINE_DATABASE_URL": server.dsn(server.create_database()),
            "HOOKLINE_ENCRYPTION_KEY": KeyRing.generate().to_text(),
            "HOOKLINE_JWT_SECRET": secrets.token_urlsafe(48),
        }


class Caller:
    """Makes API requests, each on a connection of its own."""

    def __init__(self, node: Node, token: str) -> None:
        self._node = node
        self._token = token

    async def ask(self, method: str, path: str, **members: Any) -> Any:
        client = Client(self._token)
        try:
            body = json.dumps(members).encode() if members else b""
            answer = await client.request(self._node.port, method, f"/api/v1{path}", body)
        finally:
            client.close()
        assert answer.status in {200, 201}, answer.body
        return answer.json()


async def test_an_acknowledged_change_is_told_once(environment, tmp_path):
    with Receiver() as receiver:
        node = Node("node", tmp_path, environment)
        try:
            await node.start()
            caller = Caller(node, await asyncio.to_thread(node.run, "token"))
            await caller.ask("POST", "/operational-webhook/endpoint", url=f"{receiver.url}/200/operations")
            await caller.ask("POST", "/app", name="Acme", uid="acme")
            made = []
            for _ in range(ROUNDS):
                created = await caller.ask("POST", "/app/acme/endpoint", url=f"{receiver.url}/200/acme")
                await node.kill()  # the answer is here: at once
                made.append(created["id"])
                await node.start()
            told = await asyncio.to_thread(wait_for, receiver, set(made))
            listed = await caller.ask("GET", "/app/operations/msg")
        finally:
            await node.kill()
    assert sorted(one["payload"]["data"]["endpointId"] for one in listed["data"]) == sorted(made)
    # Bytes on the wire may come twice after a crash; what they are about has one id.
    assert {endpoint_id: len(ids) for endpoint_id, ids in told.items()} == dict.fromkeys(made, 1)


def wait_for(receiver: Receiver, endpoint_ids: set[str]) -> dict[str, set[str]]:
    """The ids of the messages that arrived about each endpoint, once there is one about all of them."""
    told: dict[str, set[str]] = {}
    while endpoint_ids - told.keys():
        try:
            arrived = receiver.arrived.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"never told: {endpoint_ids - told.keys()}") from None
        payload = json.loads(arrived.body)
        assert payload["type"] == "endpoint.created"
        told.setdefault(payload["data"]["endpointId"], set()).add(arrived.headers["webhook-id"])
    return told
