"""Filters on payloads through the API: how they are said, shown, kept by Svix's own clients, and refused."""

from __future__ import annotations

from typing import Any

import pytest
from svix.models import EndpointUpsertIn, MessageIn

from support.server import Receiver, Tenant

FILTER = {"data.amount": {">": 100}, "customer_id": ["a*", "b"]}


def create(tenant: Tenant, url: str, **members: Any) -> tuple[str, dict[str, Any]]:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    answer = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": url, **members})
    assert answer.status_code == 201, answer.text
    return app_id, answer.json()


def test_a_filter_lets_through_what_it_says(tenant: Tenant, receiver: Receiver) -> None:
    app_id, endpoint = create(tenant, f"{receiver.url}/200/x", filter=FILTER)
    assert endpoint["filter"] == FILTER
    for amount in (100, 101):
        payload = {"data": {"amount": amount}, "customer_id": "abc"}
        tenant.svix.message.create(app_id, MessageIn(event_type="order.paid", payload=payload))
    assert receiver.next().body == b'{"data":{"amount":101},"customer_id":"abc"}'
    assert receiver.arrived.empty()


def test_clients_that_do_not_know_filters_keep_them(tenant: Tenant) -> None:
    app_id, endpoint = create(tenant, "https://example.com/", filter=FILTER)
    path = f"/app/{app_id}/endpoint/{endpoint['id']}"
    tenant.svix.endpoint.upsert(app_id, endpoint["id"], EndpointUpsertIn(url="https://example.com/new"))
    assert tenant.http.get(path).json()["filter"] == FILTER
    assert tenant.http.patch(path, json={"description": "x"}).json()["filter"] == FILTER
    assert tenant.http.patch(path, json={"filter": {"a": 1}}).json()["filter"] == {"a": 1}
    assert tenant.http.patch(path, json={"filter": None}).json()["filter"] is None


@pytest.mark.parametrize(
    ("conditions", "location"),
    [
        ({}, []),
        ([], []),
        ({"data.amount": {"~": 1}}, ["data.amount", "~"]),
        ({"customer_id": {">": True}}, ["customer_id", ">"]),
        ({"any": [{"a": 1}, {"b_c": []}]}, ["any", 1, "b_c"]),
        ({"a[": 1}, ["a["]),
    ],
)
def test_a_filter_that_cannot_be_understood_is_pointed_at(
    tenant: Tenant, conditions: Any, location: list[str | int]
) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    answer = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": "https://example.com/", "filter": conditions})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", "filter", *location]]
