"""Operational webhooks: the official SDK manages their endpoints and verifies what arrives there."""

from __future__ import annotations

import json
from queue import Empty
from typing import Any

import jsonschema_rs
import pytest
from svix.api import (
    ApplicationIn,
    EndpointIn,
    EndpointPatch,
    MessageIn,
    OperationalWebhookEndpointHeadersIn,
    OperationalWebhookEndpointIn,
    OperationalWebhookEndpointListOptions,
    OperationalWebhookEndpointSecretIn,
    OperationalWebhookEndpointUpsertIn,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import Ordering
from svix.webhooks import Webhook

from hookline.model.operational import OPERATIONAL_TYPES
from support.server import Receiver, Tenant

SCHEMAS = {one.name: one.schema for one in OPERATIONAL_TYPES}


class Hook:
    """An endpoint for operational webhooks, and a way to what arrives there."""

    def __init__(self, tenant: Tenant, receiver: Receiver, **fields: Any) -> None:
        self._receiver = receiver
        self._api = tenant.svix.operational_webhook.endpoint
        self.endpoint = self._api.create(OperationalWebhookEndpointIn(url=f"{receiver.url}/200/operations", **fields))
        self._webhook = Webhook(self._api.get_secret(self.endpoint.id).key)

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next operational webhook, verified by the SDK and by our own schema."""
        while True:
            arrived = self._receiver.next()
            if arrived.path.endswith("/operations"):
                break
        self._webhook.verify(arrived.body, arrived.headers)
        payload = json.loads(arrived.body)
        jsonschema_rs.validate(SCHEMAS[payload["type"]], payload)
        return payload["type"], payload["data"]

    def next_of(self, event_type: str) -> dict[str, Any]:
        while True:
            found, data = self.next()
            if found == event_type:
                return data


class TestEndpoints:
    def test_create_get_update_delete(self, tenant: Tenant, receiver: Receiver) -> None:
        api = tenant.svix.operational_webhook.endpoint
        assert (api.list().data, api.list().done) == ([], True)
        with pytest.raises(HttpError) as missing:
            api.get("ep_1")
        assert missing.value.status_code == 404
        created = api.create(
            OperationalWebhookEndpointIn(
                url=f"{receiver.url}/200/a", uid="ops", description="d", event_types=["endpoint.*"], throttle_rate=9,
                metadata={"a": "b"}, headers={"x-team": "core"},
            )
        )  # fmt: skip
        assert (created.uid, created.event_types, created.disabled, created.throttle_rate, created.metadata) == (
            "ops", ["endpoint.*"], False, 9, {"a": "b"},
        )  # fmt: skip
        assert api.get("ops") == api.get(created.id) == created
        updated = api.upsert("ops", OperationalWebhookEndpointUpsertIn(url=f"{receiver.url}/200/b", uid="ops"))
        assert (updated.id, updated.event_types, updated.throttle_rate) == (created.id, None, None)
        assert api.get_headers("ops").headers == {"x-team": "core"}
        api.set_headers("ops", OperationalWebhookEndpointHeadersIn(headers={"authorization": "Bearer x"}))
        assert (api.get_headers("ops").headers, api.get_headers("ops").sensitive) == ({}, ["authorization"])
        api.delete("ops")
        with pytest.raises(HttpError):
            api.get("ops")

    def test_secrets(self, tenant: Tenant, receiver: Receiver) -> None:
        api = tenant.svix.operational_webhook.endpoint
        one = api.create(OperationalWebhookEndpointIn(url=f"{receiver.url}/200/a"))
        first = api.get_secret(one.id).key
        assert first.startswith("whsec_")
        api.rotate_secret(one.id, OperationalWebhookEndpointSecretIn())
        second = api.get_secret(one.id).key
        key = "whsec_" + "A" * 32
        api.rotate_secret(one.id, OperationalWebhookEndpointSecretIn(key=key, grace_period_seconds=60))
        assert len({first, second, api.get_secret(one.id).key, key}) == 3

    def test_list_in_pages(self, tenant: Tenant, receiver: Receiver) -> None:
        api = tenant.svix.operational_webhook.endpoint
        made = [api.create(OperationalWebhookEndpointIn(url=f"{receiver.url}/200/a")).id for _ in range(3)]
        options = OperationalWebhookEndpointListOptions(limit=2, order=Ordering.ASCENDING)
        page = api.list(options)
        assert ([one.id for one in page.data], page.done) == (made[:2], False)
        options.iterator = page.iterator
        assert [one.id for one in api.list(options).data] == made[2:]

    def test_upsert_creates(self, tenant: Tenant, receiver: Receiver) -> None:
        api = tenant.svix.operational_webhook.endpoint
        made = api.upsert("new", OperationalWebhookEndpointUpsertIn(url=f"{receiver.url}/200/a", uid="new"))
        assert api.get("new").id == made.id

    def test_unknown_types_are_refused(self, tenant: Tenant, receiver: Receiver) -> None:
        body = OperationalWebhookEndpointIn(url=f"{receiver.url}/200/a", event_types=["endpoint.created", "invoice.*"])
        with pytest.raises(HTTPValidationError) as refused:
            tenant.svix.operational_webhook.endpoint.create(body)
        (problem,) = refused.value.detail
        assert problem.loc == ["body", "eventTypes", 1]

    def test_one_application_may_not(self, tenant: Tenant, receiver: Receiver) -> None:
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        api = tenant.svix_with(tenant.app_token(app.id)).operational_webhook.endpoint
        body = OperationalWebhookEndpointIn(url=f"{receiver.url}/200/a")
        for call in (api.list, lambda: api.create(body), lambda: api.get("x"), lambda: api.delete("x")):
            with pytest.raises(HttpError) as refused:
                call()
            assert refused.value.status_code == 403

    def test_neighbours_see_nothing(self, tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
        made = Hook(tenant, receiver).endpoint
        assert neighbour.svix.operational_webhook.endpoint.list().data == []
        Hook(neighbour, receiver)
        with pytest.raises(HttpError) as refused:
            neighbour.svix.operational_webhook.endpoint.get(made.id)
        assert refused.value.status_code == 404


class TestTheApplication:
    def test_it_is_no_customer_and_stays(self, tenant: Tenant, receiver: Receiver) -> None:
        Hook(tenant, receiver)
        assert tenant.svix.application.list().data == []
        assert tenant.svix.application.get("operations").name == "Operational webhooks"
        for call in (
            lambda: tenant.svix.application.delete("operations"),
            lambda: tenant.svix.application.upsert("operations", ApplicationIn(name="Mine")),
        ):
            with pytest.raises(HttpError) as refused:
                call()
            assert (refused.value.status_code, refused.value.code) == (409, "conflict")

    def test_a_customer_may_have_its_uid(self, tenant: Tenant, receiver: Receiver) -> None:
        customer = tenant.svix.application.create(ApplicationIn(name="Mine", uid="operations"))
        hook = Hook(tenant, receiver)
        assert tenant.svix.application.get("operations").id == customer.id
        made = tenant.svix.endpoint.create("operations", EndpointIn(url=f"{receiver.url}/200/x"))
        assert hook.next_of("endpoint.created")["endpointId"] == made.id
        tenant.svix.application.delete("operations")


class TestWebhooks:
    def test_the_life_of_an_endpoint(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver)
        app = tenant.svix.application.create(ApplicationIn(name="Customer", uid="acme"))
        made = tenant.svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/200/x", uid="main"))
        base = {"appId": app.id, "appUid": "acme", "endpointId": made.id, "endpointUid": "main"}
        assert hook.next() == ("endpoint.created", base)
        tenant.svix.endpoint.patch(app.id, made.id, EndpointPatch(disabled=True))
        told = dict((hook.next(), hook.next()))
        assert told["endpoint.updated"] == base
        assert told["endpoint.disabled"] == base | {
            "failSince": None, "trigger": "manual", "reason": "requested", "detail": None,
        }  # fmt: skip
        tenant.svix.endpoint.delete(app.id, made.id)
        assert hook.next() == ("endpoint.deleted", base)

    def test_a_delivery_that_is_given_up(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver, event_types=["message.attempt.exhausted", "endpoint.disabled"])
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        made = tenant.svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/500/x"))
        body = MessageIn(event_type="invoice.paid", payload={"a": 1}, event_id="evt-1")
        sent = tenant.svix.message.create(app.id, body)
        event_type, data = hook.next()
        assert event_type == "message.attempt.exhausted"
        assert (data["msgId"], data["msgEventId"], data["endpointId"]) == (sent.id, "evt-1", made.id)
        attempt = tenant.svix.message_attempt.get(app.id, sent.id, data["lastAttempt"]["id"])
        assert attempt.response_status_code == data["lastAttempt"]["responseStatusCode"] == 500

    def test_a_receiver_that_is_gone(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver, event_types=["endpoint.disabled"])
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        made = tenant.svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/410/x"))
        tenant.svix.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"a": 1}))
        event_type, data = hook.next()
        assert (event_type, data["endpointId"], data["trigger"], data["reason"]) == (
            "endpoint.disabled", made.id, "automatic", "gone",
        )  # fmt: skip

    def test_a_delivery_that_recovers(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver, event_types=["message.attempt.*"])
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        body = {"url": f"{receiver.url}/500/x", "policy": {"scheduleS": [0.05] * 5 + [0.5] * 20, "jitter": 0}}
        made = tenant.http.post(f"/app/{app.id}/endpoint", json=body).json()
        sent = tenant.svix.message.create(app.id, MessageIn(event_type="invoice.paid", payload={"a": 1}))
        event_type, data = hook.next()
        assert (event_type, data["msgId"]) == ("message.attempt.failing", sent.id)
        tenant.svix.endpoint.patch(app.id, made["id"], EndpointPatch(url=f"{receiver.url}/200/x"))
        event_type, data = hook.next()
        assert (event_type, data["msgId"]) == ("message.attempt.recovered", sent.id)
        assert data["lastAttempt"]["responseStatusCode"] == 200

    def test_nothing_is_told_about_itself(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver)
        Hook(tenant, receiver, uid="second")
        tenant.svix.operational_webhook.endpoint.delete("second")
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        tenant.svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/200/x", uid="main"))
        assert hook.next()[1]["endpointUid"] == "main"
        with pytest.raises(Empty):
            receiver.arrived.get_nowait()
        listed = tenant.http.get("/app/operations/msg").json()["data"]
        assert [(one["eventType"], json.dumps(one["payload"])[:8]) for one in listed] == [
            ("endpoint.created", '{"type":'),
        ]  # fmt: skip


class TestHealth:
    """A short period by the organization's own wish, so that the server that all tests share will do."""

    def test_an_endpoint_that_only_fails_is_disabled_and_comes_back(self, tenant: Tenant, receiver: Receiver) -> None:
        hook = Hook(tenant, receiver, event_types=["endpoint.*", "message.attempt.exhausted"])
        app = tenant.svix.application.create(ApplicationIn(name="Customer"))
        made = tenant.svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/500/x"))
        path = f"/app/{app.id}/endpoint/{made.id}"
        assert tenant.http.get(path).json()["health"]["state"] == "healthy"
        assert tenant.http.patch("/settings", json={"endpointDisableAfterS": 1}).status_code == 200
        assert hook.next()[0] == "endpoint.created"
        give_up(tenant, app.id, hook)
        failing = tenant.http.get(path).json()["health"]
        assert (failing["state"], failing["disabledAt"]) == ("failing", None)
        while tenant.http.get(path).json()["health"]["state"] == "failing":
            give_up(tenant, app.id, hook)  # it goes on failing for as long as it takes
            tenant.server.call(judge_now(tenant))
        event_type, data = hook.next()
        assert (event_type, data["trigger"], data["reason"]) == ("endpoint.disabled", "automatic", "failing")
        assert data["failSince"] == failing["failingSince"]
        shown = tenant.http.get(path).json()
        assert (shown["disabled"], shown["statusReason"], shown["health"]["reason"]) == (True, "failing", "failing")
        assert shown["health"]["detail"] == data["detail"] == f"Every attempt failed since {data['failSince']}."
        assert tenant.http.get(f"/app/{app.id}/endpoint").json()["data"][0]["health"] == shown["health"]
        assert "hookline_endpoints_disabled_total" in tenant.http.get(f"{tenant.server.url}/metrics").text
        back = tenant.http.patch(path, json={"disabled": False, "url": f"{receiver.url}/200/x"}).json()
        assert (back["disabled"], back["statusReason"], back["health"]["state"]) == (False, None, "healthy")
        assert {hook.next()[0], hook.next()[0]} == {"endpoint.updated", "endpoint.enabled"}
        assert tenant.svix.endpoint.get(app.id, made.id).disabled is False


def give_up(tenant: Tenant, app_id: str, hook: Hook) -> None:
    """Send a message, and wait until it is told that it failed for good."""
    sent = tenant.svix.message.create(app_id, MessageIn(event_type="invoice.paid", payload={"a": 1}))
    while hook.next_of("message.attempt.exhausted")["msgId"] != sent.id:
        pass


async def judge_now(tenant: Tenant) -> None:
    await tenant.server.runtime.engine.judge.work()
