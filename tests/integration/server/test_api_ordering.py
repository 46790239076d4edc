"""Endpoints ordered by a value in the payload, through the API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from svix.models import EndpointUpsertIn

from support.server import Receiver, Tenant


def test_each_customer_gets_its_messages_in_order(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    endpoint = {"url": f"{receiver.url}/200/x", "ordered": True, "orderedBy": "customer.id"}
    created = tenant.http.post(f"/app/{app_id}/endpoint", json=endpoint)
    assert created.json()["orderedBy"] == "customer.id"
    for number in range(12):
        payload = {"customer": {"id": number % 3}, "n": number}
        assert tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": payload}).status_code == 202
    arrived = [orjson.loads(receiver.next().body) for _ in range(12)]
    for customer in range(3):
        assert [one["n"] for one in arrived if one["customer"]["id"] == customer] == list(range(customer, 12, 3))


def test_clients_that_do_not_know_it_keep_it(tenant: Tenant) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    wanted = {"url": "https://example.com/", "ordered": True, "orderedBy": "a"}
    endpoint_id = tenant.http.post(f"/app/{app_id}/endpoint", json=wanted).json()["id"]
    tenant.svix.endpoint.upsert(app_id, endpoint_id, EndpointUpsertIn(url="https://example.com/new"))
    path = f"/app/{app_id}/endpoint/{endpoint_id}"
    assert tenant.http.get(path).json()["orderedBy"] == "a"
    assert tenant.http.patch(path, json={"orderedBy": None}).json()["orderedBy"] is None
    assert tenant.http.get(path).json()["ordered"] is True


@pytest.mark.parametrize(
    "members",
    [{"orderedBy": "a"}, {"ordered": True, "orderedBy": ""}, {"ordered": True, "orderedBy": "items[*].id"}],
)
def test_what_cannot_order_is_refused(tenant: Tenant, members: dict[str, Any]) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    answer = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": "https://example.com/", **members})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", "orderedBy"]]
