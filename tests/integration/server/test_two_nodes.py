"""Two nodes on one PostgreSQL: what is changed through one holds at once on the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for

MESSAGE = {"eventType": "a.b", "payload": {}}


@pytest.fixture(scope="module")
def nodes(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, RunningServer]]:
    url = postgres_server.dsn(postgres_server.create_database())
    directory = tmp_path_factory.mktemp("nodes")
    settings = settings_for(directory, database_url=url, claim_poll_s=30.0, retry_schedule="0.05", **POSTGRES_SECRETS)
    with RunningServer(settings) as first, RunningServer(settings) as second:
        yield first, second


class Pair:
    """One organization at both nodes: `a` configures, `b` sends."""

    def __init__(self, nodes: tuple[RunningServer, RunningServer]) -> None:
        self._tenants = [Tenant(nodes[0]), Tenant(nodes[1])]
        self.server = nodes[0]
        self.org_id = self._tenants[0].org_id
        self.token = self._tenants[0].token
        self.a, self.b = (tenant.http_with(self.token) for tenant in self._tenants)
        self.app_id = self.a.post("/app", json={"name": "App", "uid": "app"}).json()["id"]

    def b_with(self, credential: str) -> httpx2.Client:
        return self._tenants[1].http_with(credential)

    def send(self, count: int = 1) -> str:
        """Send through node B, whose memory of the application is as warm as it gets."""
        for _ in range(count):
            answer = self.b.post(f"/app/{self.app_id}/msg", json=MESSAGE)
            assert answer.status_code == 202, answer.text
        msg_id: str = answer.json()["id"]
        return msg_id

    def add_endpoint(self, url: str, **fields: Any) -> str:
        endpoint_id: str = self.a.post(f"/app/{self.app_id}/endpoint", json={"url": url, **fields}).json()["id"]
        return endpoint_id

    def change(self, endpoint_id: str, **fields: Any) -> None:
        assert self.a.patch(f"/app/{self.app_id}/endpoint/{endpoint_id}", json=fields).status_code == 200

    def close(self) -> None:
        for tenant in self._tenants:
            tenant.close()


@pytest.fixture
def pair(nodes: tuple[RunningServer, RunningServer]) -> Iterator[Pair]:
    pair = Pair(nodes)
    yield pair
    pair.close()


def test_endpoints_made_changed_and_disabled_elsewhere_hold_at_once(pair: Pair, receiver: Receiver) -> None:
    pair.send(3)  # B knows by now that there is no endpoint
    endpoint_id = pair.add_endpoint(f"{receiver.url}/200/first")
    sent = pair.send()
    assert (receiver.next().headers["webhook-id"], receiver.arrived.empty()) == (sent, True)
    for number in range(5):
        pair.change(endpoint_id, url=f"{receiver.url}/200/then{number}")
        sent = pair.send()
        arrived = receiver.next()
        assert (arrived.path, arrived.headers["webhook-id"]) == (f"/200/then{number}", sent)
    pair.change(endpoint_id, disabled=True)
    pair.send(3)
    pair.change(endpoint_id, disabled=False)
    sent = pair.send()
    assert receiver.next().headers["webhook-id"] == sent
    assert pair.a.delete(f"/app/{pair.app_id}/endpoint/{endpoint_id}").status_code == 204
    pair.send(3)
    assert receiver.arrived.empty()


def test_what_waits_goes_on_when_its_endpoint_is_resumed_elsewhere(pair: Pair, receiver: Receiver) -> None:
    """Nobody polls here within the patience of this test: it is the wake-up that does it."""
    endpoint_id = pair.add_endpoint(f"{receiver.url}/200/x", paused=True)
    sent = pair.send()
    pair.change(endpoint_id, paused=False)
    assert receiver.next().headers["webhook-id"] == sent


def test_a_receiver_that_is_gone_is_gone_on_every_node(pair: Pair, receiver: Receiver) -> None:
    endpoint_id = pair.add_endpoint(f"{receiver.url}/410/x")
    pair.send()
    receiver.next()
    until = time.monotonic() + 20
    shown: dict[str, Any] = {}
    while not shown.get("disabled") and time.monotonic() < until:
        shown = pair.a.get(f"/app/{pair.app_id}/endpoint/{endpoint_id}").json()
    assert shown["disabled"]
    assert pair.a.post(f"/app/{pair.app_id}/msg", json=MESSAGE).status_code == 202
    pair.send()
    assert receiver.arrived.empty()


def test_a_key_that_is_revoked_elsewhere_ends_within_seconds_even_in_constant_use(pair: Pair) -> None:
    keys = pair.server.runtime.keys
    made = pair.server.call(keys.create(pair.org_id, name="busy"))
    client = pair.b_with(made.text)
    for _ in range(20):
        assert client.post(f"/app/{pair.app_id}/msg", json=MESSAGE).status_code == 202
    pair.server.call(keys.revoke(pair.org_id, made.key.id))
    revoked_s = time.monotonic()
    while client.post(f"/app/{pair.app_id}/msg", json=MESSAGE).status_code == 202:
        assert time.monotonic() - revoked_s < 6
    assert client.get("/app").status_code == 401


def test_an_application_that_is_deleted_elsewhere(pair: Pair) -> None:
    pair.send(3)
    assert pair.a.delete(f"/app/{pair.app_id}").status_code == 204
    answer = pair.b.post(f"/app/{pair.app_id}/msg", json=MESSAGE)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_one_event_id_and_one_request_across_nodes(pair: Pair) -> None:
    once = {**MESSAGE, "eventId": "only-once"}
    assert pair.a.post(f"/app/{pair.app_id}/msg", json=once).status_code == 202
    assert pair.b.post(f"/app/{pair.app_id}/msg", json=once).status_code == 409
    headers = {"idempotency-key": "same"}
    first = pair.a.post(f"/app/{pair.app_id}/msg", json=MESSAGE, headers=headers)
    again = pair.b.post(f"/app/{pair.app_id}/msg", json=MESSAGE, headers=headers)
    assert first.json() == again.json()
