"""Background responses whose server is killed while they run: each ends once, and announces itself once.

HOOKLINE_TEST_RESPONSE_ROUNDS says how often the server dies; a few times unless that is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
from collections import defaultdict
from pathlib import Path
from queue import Empty

import httpx2
import pytest
from openai import APIConnectionError, AsyncOpenAI

from hookline.store import KeyRing
from support.model_server import ModelServer
from support.postgres import PostgresServer
from support.server import Receiver
from support.torture.node import Node

ROUNDS = int(os.environ.get("HOOKLINE_TEST_RESPONSE_ROUNDS", "4"))
EACH = 16
PATIENCE_S = 60
#: how a round's server dies: by a signal from outside while answers are awaited, or at a named point
DEATHS = (None, "before_job_event:3", None, "after_job_end:5")
ENDS = ["response.completed", "response.failed", "response.cancelled", "response.incomplete"]


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    environment = {
        "HOOKLINE_EGRESS_ALLOW": "127.0.0.0/8",
        "HOOKLINE_LEASE_S": "1",
        "HOOKLINE_LOG_FORMAT": "json",
        "HOOKLINE_DATABASE_URL": f"sqlite:///{tmp_path}/hookline.db",
        "HOOKLINE_JWT_SECRET": secrets.token_urlsafe(48),
        "HOOKLINE_OPENAI_BACKEND_CONCURRENCY": "4",
        "HOOKLINE_OPENAI_BACKEND_ATTEMPTS": "100",
    }
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        environment["HOOKLINE_DATABASE_URL"] = server.dsn(server.create_database())
        environment["HOOKLINE_ENCRYPTION_KEY"] = KeyRing.generate().to_text()
    return environment


async def ask_for_responses(client: AsyncOpenAI, number: int) -> set[str]:
    """Those that were acknowledged; every fourth is called off at once."""
    made = set()
    for index in range(EACH):
        try:
            response = await client.responses.create(model="small", input=f"{number}/{index}", background=True)
            made.add(response.id)
            if index % 4 == 3:
                await client.responses.cancel(response.id)
        except (APIConnectionError, httpx2.HTTPError):
            return made  # the server died of a named point
    return made


async def die(node: Node, models: ModelServer, death: str | None) -> None:
    if death is None:
        for _ in range(random.randint(2, EACH // 2)):
            await asyncio.to_thread(models.await_request)
        await node.kill()
    else:
        await node.await_death()


async def test_each_response_ends_once_and_is_announced_once(environment: dict[str, str], tmp_path: Path) -> None:
    with ModelServer() as models, Receiver() as receiver:
        models.pause_s = 0.05
        node = Node("node", tmp_path, environment | {"HOOKLINE_OPENAI_BACKEND": models.url})
        try:
            await node.start()
            token = await asyncio.to_thread(node.run, "token")
            base_url = f"http://127.0.0.1:{node.port}/openai/v1"
            async with AsyncOpenAI(base_url=base_url, api_key=token, max_retries=0) as client:
                await client.webhooks.create(name="Ends", url=f"{receiver.url}/200/hook", event_types=ENDS)
                await node.stop()
                made: set[str] = set()
                for number in range(ROUNDS):
                    death = DEATHS[number % len(DEATHS)]
                    await node.start(**({"HOOKLINE_CRASH_AT": death} if death else {}))
                    made |= await ask_for_responses(client, number)
                    await die(node, models, death)
                await node.start()
                states = await await_ends(client, made)
                events = await asyncio.to_thread(collect, receiver, set(made))
            await node.stop()
        finally:
            await node.kill()
    assert len(made) >= ROUNDS
    assert set(states.values()) <= {"completed", "cancelled"}
    assert "completed" in states.values()
    for response_id, state in states.items():
        assert len(events[response_id]) == 1, (response_id, events[response_id])
        [(_, event_type)] = events[response_id]
        assert event_type == f"response.{state}"
    # Those whose answer was lost with the server, too.
    assert all(len(found) == 1 for found in events.values()), events


async def await_ends(client: AsyncOpenAI, made: set[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE_S):
        for response_id in made:
            while (found := await client.responses.retrieve(response_id)).status in {"queued", "in_progress"}:
                await asyncio.sleep(0.02)
            states[response_id] = str(found.status)
    return states


def collect(receiver: Receiver, awaited: set[str]) -> dict[str, set[tuple[str, str]]]:
    """Response id -> the events that arrived for it, by `webhook-id` and type. Repeated deliveries are one."""
    events: dict[str, set[tuple[str, str]]] = defaultdict(set)
    while awaited:
        arrived = receiver.next()
        _note(events, arrived.headers, arrived.body)
        awaited -= events.keys()
    try:
        while True:  # what should not come would come now
            arrived = receiver.arrived.get(timeout=1)
            _note(events, arrived.headers, arrived.body)
    except Empty:
        return events


def _note(events: dict[str, set[tuple[str, str]]], headers: dict[str, str], body: bytes) -> None:
    event = json.loads(body)
    events[event["data"]["id"]].add((headers["webhook-id"], event["type"]))
