"""Operational webhooks, as the official SDK sees them."""

from __future__ import annotations

import json

import pytest
from svix.api import (
    ApplicationIn,
    OperationalWebhookEndpointHeadersIn,
    OperationalWebhookEndpointIn,
    OperationalWebhookEndpointListOptions,
    OperationalWebhookEndpointSecretIn,
    OperationalWebhookEndpointUpsertIn,
)
from svix.exceptions import HttpError
from svix.webhooks import Webhook

from integration.svix.driven import Driven, Inbox
from support.server import Receiver


def test_create_get_update_delete(svix: Driven, receiver: Receiver) -> None:
    url = f"{receiver.url}/200/operations"
    created = svix.operational_webhook.endpoint.create(
        OperationalWebhookEndpointIn(url=url, uid="ops", event_types=["endpoint.disabled"], metadata={"a": "b"})
    )
    assert (created.url, created.uid, created.event_types) == (url, "ops", ["endpoint.disabled"])
    assert (created.metadata, created.disabled) == ({"a": "b"}, False)
    assert svix.operational_webhook.endpoint.get("ops") == created
    updated = svix.operational_webhook.endpoint.upsert("ops", OperationalWebhookEndpointUpsertIn(url=url, uid="ops"))
    assert (updated.id, updated.event_types, updated.metadata) == (created.id, None, {})
    other = svix.operational_webhook.endpoint.create(OperationalWebhookEndpointIn(url=url))
    first = svix.operational_webhook.endpoint.list(OperationalWebhookEndpointListOptions(limit=1))
    assert ([found.id for found in first.data], first.done) == ([other.id], False)
    svix.operational_webhook.endpoint.delete(other.id)
    assert [found.id for found in svix.operational_webhook.endpoint.list().data] == [created.id]
    with pytest.raises(HttpError) as error:
        svix.operational_webhook.endpoint.get(other.id)
    assert error.value.status_code == 404


def test_secrets_and_headers(svix: Driven, receiver: Receiver) -> None:
    wish = OperationalWebhookEndpointIn(url=f"{receiver.url}/200/operations", uid="ops")
    svix.operational_webhook.endpoint.create(wish)
    old = svix.operational_webhook.endpoint.get_secret("ops").key
    svix.operational_webhook.endpoint.rotate_secret("ops", OperationalWebhookEndpointSecretIn())
    assert svix.operational_webhook.endpoint.get_secret("ops").key != old
    headers = OperationalWebhookEndpointHeadersIn(headers={"X-One": "1", "Authorization": "Basic abc"})
    svix.operational_webhook.endpoint.set_headers("ops", headers)
    shown = svix.operational_webhook.endpoint.get_headers("ops")
    assert (shown.headers, shown.sensitive) == ({"X-One": "1"}, ["Authorization"])


def test_what_happens_is_told(svix: Driven, app_id: str, inbox: Inbox, receiver: Receiver) -> None:
    wish = OperationalWebhookEndpointIn(url=f"{receiver.url}/200/operations", event_types=["endpoint.created"])
    operations = svix.operational_webhook.endpoint.create(wish)
    endpoint = inbox.subscribe(app_id)
    arrived = receiver.next()
    Webhook(svix.operational_webhook.endpoint.get_secret(operations.id).key).verify(arrived.body, arrived.headers)
    told = json.loads(arrived.body)
    assert (told["type"], told["data"]["appId"], told["data"]["endpointId"]) == (
        "endpoint.created",
        app_id,
        endpoint.id,
    )


def test_customers_have_no_part_in_it(svix: Driven, receiver: Receiver) -> None:
    svix.operational_webhook.endpoint.create(OperationalWebhookEndpointIn(url=f"{receiver.url}/200/operations"))
    svix.application.create(ApplicationIn(name="Customer"))
    assert [found.name for found in svix.application.list().data] == ["Customer"]
