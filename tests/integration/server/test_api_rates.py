"""Rates, measured by the receiver: an endpoint's, an application's, and both across nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, Delivered, Receiver, RunningServer, Tenant, settings_for

MESSAGE = {"eventType": "a.b", "payload": {}}
RATE = 40


@pytest.fixture(scope="module")
def nodes(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    url = postgres_server.dsn(postgres_server.create_database())
    settings = settings_for(tmp_path_factory.mktemp("nodes"), database_url=url, **POSTGRES_SECRETS)
    with RunningServer(settings) as first, RunningServer(settings) as second:
        yield [first, second]


@pytest.fixture
def tenants(nodes: list[RunningServer]) -> Iterator[list[Any]]:
    """Clients of one organization, one for each node."""
    tenants = [Tenant(node) for node in nodes]
    yield [tenant.http_with(tenants[0].token) for tenant in tenants]
    for tenant in tenants:
        tenant.close()


def arrivals(receiver: Receiver, count: int) -> list[Delivered]:
    return [receiver.next() for _ in range(count)]


def check(arrived: Sequence[Delivered], rate: int) -> None:
    """Never more than the rate within a second, but for what a late timer lets catch up; and most of it is used."""
    moments = sorted(one.at_s for one in arrived)
    busiest = max(sum(1 for other in moments if moment <= other < moment + 1) for moment in moments)
    assert busiest <= rate * 1.15 + 1, busiest
    lasted_s = moments[-1] - moments[0]
    assert lasted_s <= 1.7 * len(moments) / rate, lasted_s
    assert len({(one.path, one.headers["webhook-id"]) for one in arrived}) == len(arrived)


def send(clients: Sequence[Any], app_id: str, count: int) -> None:
    for number in range(count):
        answer = clients[number % len(clients)].post(f"/app/{app_id}/msg", json=MESSAGE)
        assert answer.status_code == 202


def test_an_endpoint_gets_its_rate(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x", "throttleRate": RATE})
    send([tenant.http], app_id, 4 * RATE)  # more than a lane under a rate holds: the rest waits in the database
    check(arrivals(receiver, 4 * RATE), RATE)


def test_retries_and_resends_go_under_the_rate_too(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    endpoint = {"url": f"{receiver.url}/500/x", "throttleRate": RATE, "policy": {"scheduleS": [0.0], "jitter": 0.0}}
    endpoint_id = tenant.http.post(f"/app/{app_id}/endpoint", json=endpoint).json()["id"]
    sent = [tenant.http.post(f"/app/{app_id}/msg", json=MESSAGE).json()["id"] for _ in range(RATE)]
    for msg_id in sent:
        assert tenant.http.post(f"/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend").status_code == 202
    moments = sorted(one.at_s for one in arrivals(receiver, 3 * RATE))
    busiest = max(sum(1 for other in moments if moment <= other < moment + 1) for moment in moments)
    assert busiest <= RATE * 1.15 + 1


def test_the_endpoints_of_an_application_share_its_rate(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App", "throttleRate": RATE}).json()["id"]
    for name in ("one", "two", "three"):
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/{name}"})
    send([tenant.http], app_id, RATE)
    arrived = arrivals(receiver, 3 * RATE)
    check(arrived, RATE)
    first = [one.path for one in arrived[:RATE]]
    assert min(first.count(f"/200/{name}") for name in ("one", "two", "three")) >= RATE // 4  # in turns


def test_a_new_rate_of_the_application_holds_at_once(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App", "throttleRate": 1}).json()["id"]
    tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
    send([tenant.http], app_id, 30)
    first = receiver.next()
    assert tenant.http.patch(f"/app/{app_id}", json={"throttleRate": None}).status_code == 200
    assert arrivals(receiver, 29)[-1].at_s - first.at_s < 5


@pytest.mark.parametrize("senders", [1, 2], ids=["unevenly", "evenly"])
def test_two_nodes_together_keep_the_rate(tenants: list[Any], receiver: Receiver, senders: int) -> None:
    """However the work is spread: all of it through one node, or half of it through each."""
    app_id = tenants[0].post("/app", json={"name": "App"}).json()["id"]
    tenants[0].post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x", "throttleRate": RATE})
    send(tenants[:senders], app_id, 5 * RATE)
    check(arrivals(receiver, 5 * RATE), RATE)


def test_two_nodes_together_keep_the_rate_of_an_application(tenants: list[Any], receiver: Receiver) -> None:
    app_id = tenants[0].post("/app", json={"name": "App"}).json()["id"]
    for name in ("one", "two", "three"):
        tenants[0].post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/{name}"})
    send([tenants[1]], app_id, 1)  # both nodes know the application, without a rate
    arrivals(receiver, 3)
    assert tenants[0].patch(f"/app/{app_id}", json={"throttleRate": RATE}).status_code == 200
    send(tenants, app_id, RATE)
    check(arrivals(receiver, 3 * RATE), RATE)
