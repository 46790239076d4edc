"""Sending examples to one endpoint, and asking whether anybody wants a message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.server import Receiver, Tenant

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}},
    "examples": [{"id": "one"}, {"id": "two"}],
}


@pytest.fixture
def app_id(tenant: Tenant) -> str:
    app_id: str = tenant.http.post("/app", json={"name": "App", "uid": "app"}).json()["id"]
    return app_id


def endpoint(tenant: Tenant, app_id: str, receiver: Receiver, uid: str, **members: Any) -> str:
    body = {"url": f"{receiver.url}/200/{uid}", "uid": uid, **members}
    answer = tenant.http.post(f"/app/{app_id}/endpoint", json=body)
    assert answer.status_code == 201, answer.text
    return f"/app/{app_id}/endpoint/{uid}"


def example(tenant: Tenant, path: str, event_type: str, **members: Any) -> Any:
    return tenant.http.post(f"{path}/send-example", json={"eventType": event_type, **members})


def test_an_example_goes_to_that_endpoint_alone(tenant: Tenant, app_id: str, receiver: Receiver) -> None:
    """Whatever the endpoint takes otherwise; and the others, who would take it, do not get it."""
    tenant.http.post("/event-type", json={"name": "user.signup", "description": "", "schemas": {"1": SCHEMA}})
    endpoint(tenant, app_id, receiver, "other")
    path = endpoint(tenant, app_id, receiver, "mine", eventTypes=["nothing"], channels=["none"], ordered=True)
    for index, sent in ((None, "one"), (1, "two")):
        answer = example(tenant, path, "user.signup", exampleIndex=index)
        assert (answer.status_code, answer.json()["payload"]) == (202, {"id": sent})
        assert answer.json()["eventType"] == "user.signup"
        arrived = receiver.next()
        assert (arrived.path, json.loads(arrived.body)) == ("/200/mine", {"id": sent})
        destinations = tenant.http.get(f"/app/{app_id}/msg/{answer.json()['id']}/endpoint").json()["data"]
        assert [row["uid"] for row in destinations] == ["mine"]
    tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "user.signup", "payload": {}})
    assert receiver.next().path == "/200/other", "nothing else came before"


@pytest.mark.parametrize(
    ("event_type", "payload"), [("svix.ping", {"success": True}), ("endpoint.disabled", None), ("made", {"id": "text"})]
)
def test_examples_without_examples(
    tenant: Tenant, app_id: str, receiver: Receiver, event_type: str, payload: Any
) -> None:
    schema = {name: member for name, member in SCHEMA.items() if name != "examples"}
    tenant.http.put("/event-type/made", json={"description": "", "schemas": {"1": schema}})
    path = endpoint(tenant, app_id, receiver, "mine")
    answer = example(tenant, path, event_type)
    assert answer.status_code == 202
    assert payload is None or answer.json()["payload"] == payload
    assert json.loads(receiver.next().body) == answer.json()["payload"]


def test_examples_that_there_are_not(tenant: Tenant, app_id: str, receiver: Receiver) -> None:
    path = endpoint(tenant, app_id, receiver, "mine")
    tenant.http.put("/event-type/bare", json={"description": ""})
    tenant.http.put("/event-type/full", json={"description": "", "schemas": {"1": SCHEMA}})
    for members, place in (
        ({"eventType": "unknown"}, ["eventType"]),
        ({"eventType": "bare"}, ["eventType"]),
        ({"eventType": "full", "exampleIndex": 2}, ["exampleIndex"]),
        ({"eventType": "a b"}, ["eventType"]),
        ({}, ["eventType"]),
    ):
        answer = tenant.http.post(f"{path}/send-example", json=members)
        assert answer.status_code == 422
        assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", *place]]
    assert example(tenant, f"/app/{app_id}/endpoint/none", "svix.ping").status_code == 404
    assert tenant.http.get(f"/app/{app_id}/msg").json()["data"] == []


def test_what_customers_may_try(tenant: Tenant, app_id: str, receiver: Receiver) -> None:
    path = endpoint(tenant, app_id, receiver, "mine")
    tenant.http.put("/event-type/open", json={"description": "", "schemas": {"1": SCHEMA}})
    tenant.http.put("/event-type/hidden", json={"description": "", "schemas": {"1": SCHEMA}, "featureFlag": "beta"})
    customer = tenant.http_with(tenant.app_token(app_id))

    def tried(**members: Any) -> int:
        return customer.post(f"{path}/send-example", json=members).status_code

    assert tried(eventType="open") == 202
    assert tried(eventType="hidden") == tried(eventType="unknown") == 422
    assert tried(eventType="open", payload={"of": "my own"}) == 403
    own = example(tenant, path, "open", payload={"of": "my own"})
    assert (own.status_code, own.json()["payload"]) == (202, {"of": "my own"})


def test_whether_anybody_wants_it(tenant: Tenant, app_id: str, receiver: Receiver) -> None:
    def active(**members: Any) -> bool:
        answer = tenant.http.post(f"/app/{app_id}/msg/precheck/active", json={"eventType": "order.paid", **members})
        assert answer.status_code == 200, answer.text
        found: bool = answer.json()["active"]
        return found

    assert not active()
    path = endpoint(tenant, app_id, receiver, "mine", eventTypes=["order.*"], channels=["north"])
    assert not active()
    assert active(channels=["south", "north"])
    assert not active(channels=["south"])
    assert not active(eventType="other", channels=["north"])
    tenant.http.patch(path, json={"disabled": True})
    assert not active(channels=["north"])
    tenant.http.patch(path, json={"disabled": False})
    assert active(channels=["north"])
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    assert not active(channels=["north"]), "such a message would be refused"
    for members in ({"eventType": "a b"}, {"channels": []}, {"channels": ["c"] * 10_000}):
        body = {"eventType": "a", **members}
        assert tenant.http.post(f"/app/{app_id}/msg/precheck/active", json=body).status_code == 422
    assert tenant.http.post("/app/none/msg/precheck/active", json={"eventType": "a"}).status_code == 404
