"""Endpoints, their secrets and headers, as the official SDK sees them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from svix.api import (
    EndpointGetStatsOptions,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointListOptions,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointTransformationIn,
    EndpointTransformationPatch,
    EndpointUpsertIn,
    EventExampleIn,
    EventTypeIn,
    MessageIn,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import Ordering
from svix.webhooks import Webhook

from integration.svix.driven import Driven, Inbox, wait_for
from support.server import Receiver

MESSAGE = MessageIn(event_type="invoice.paid", payload={"amount": 12})


@pytest.fixture
def endpoint_id(inbox: Inbox, app_id: str) -> str:
    return inbox.subscribe(app_id, uid="main").id


def test_create_get_update_patch_delete(svix: Driven, app_id: str, receiver: Receiver) -> None:
    url = f"{receiver.url}/200/{app_id}"
    created = svix.endpoint.create(
        "customer",
        EndpointIn(
            url=url,
            description="The main one",
            uid="ep1",
            event_types=["invoice.paid", "order.*"],
            channels=["eu"],
            throttle_rate=7,
            metadata={"a": "b"},
            headers={"X-Mine": "1"},
        ),
    )
    assert created.id.startswith("ep_")
    assert (created.url, created.description, created.uid, created.disabled) == (url, "The main one", "ep1", False)
    assert (created.event_types, created.channels) == (["invoice.paid", "order.*"], ["eu"])
    assert (created.throttle_rate, created.metadata) == (7, {"a": "b"})
    assert svix.endpoint.get(app_id, "ep1") == created
    assert svix.endpoint.get_headers(app_id, "ep1").headers == {"X-Mine": "1"}

    secret = svix.endpoint.get_secret(app_id, "ep1").key
    updated = svix.endpoint.upsert(app_id, "ep1", EndpointUpsertIn(url=url, uid="ep2"))
    assert (updated.id, updated.uid, updated.event_types, updated.channels) == (created.id, "ep2", None, None)
    assert svix.endpoint.get_secret(app_id, "ep2").key == secret
    assert svix.endpoint.get_headers(app_id, "ep2").headers == {"X-Mine": "1"}

    patched = svix.endpoint.patch(app_id, "ep2", EndpointPatch(disabled=True, event_types=["x.y"]))
    assert (patched.disabled, patched.event_types, patched.url) == (True, ["x.y"], url)
    assert svix.endpoint.patch(app_id, "ep2", EndpointPatch(event_types=None)).event_types is None

    svix.endpoint.delete(app_id, created.id)
    with pytest.raises(HttpError) as error:
        svix.endpoint.get(app_id, created.id)
    assert error.value.status_code == 404


def test_an_update_creates_what_is_not_there(svix: Driven, app_id: str, receiver: Receiver) -> None:
    made = svix.endpoint.upsert(app_id, "new", EndpointUpsertIn(url=f"{receiver.url}/200/x", uid="new"))
    assert svix.endpoint.get(app_id, "new") == made


def test_list_newest_first(svix: Driven, app_id: str, receiver: Receiver) -> None:
    made = [svix.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/200/x")).id for _ in range(3)]
    newest_first = svix.endpoint.list(app_id)
    assert ([endpoint.id for endpoint in newest_first.data], newest_first.done) == (made[::-1], True)
    page = svix.endpoint.list(app_id, EndpointListOptions(limit=2, order=Ordering.ASCENDING))
    assert ([endpoint.id for endpoint in page.data], page.done) == (made[:2], False)
    rest = svix.endpoint.list(app_id, EndpointListOptions(limit=2, order=Ordering.ASCENDING, iterator=page.iterator))
    assert ([endpoint.id for endpoint in rest.data], rest.done) == (made[2:], True)


def test_secrets(svix: Driven, app_id: str, endpoint_id: str) -> None:
    first = svix.endpoint.get_secret(app_id, endpoint_id).key
    assert first.startswith("whsec_")
    rotated = svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
    second = svix.endpoint.get_secret(app_id, endpoint_id).key
    assert rotated.key == second != first
    own = "whsec_" + "AbCd" * 8
    svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn(key=own, grace_period_seconds=0))
    assert svix.endpoint.get_secret(app_id, endpoint_id).key == own


def test_both_secrets_sign_during_the_period_of_grace(
    svix: Driven, app_id: str, endpoint_id: str, inbox: Inbox
) -> None:
    old = svix.endpoint.get_secret(app_id, endpoint_id).key
    new = svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn()).key
    svix.message.create(app_id, MESSAGE)
    arrived = inbox.next()
    for secret in (old, new):
        Webhook(secret).verify(arrived.body, arrived.headers)  # raises unless it is signed


def test_too_many_old_secrets(svix: Driven, app_id: str, endpoint_id: str) -> None:
    for _ in range(10):
        svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
    with pytest.raises(HttpError) as error:
        svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
    assert (error.value.status_code, error.value.code) == (400, "limit_reached")


def test_headers(svix: Driven, app_id: str, endpoint_id: str, inbox: Inbox) -> None:
    svix.endpoint.set_headers(
        app_id, endpoint_id, EndpointHeadersIn(headers={"X-One": "1", "Authorization": "Basic abc"})
    )
    svix.endpoint.patch_headers(
        app_id, endpoint_id, EndpointHeadersPatchIn(headers={"X-Two": "2"}, delete_headers=["x-one"])
    )
    shown = svix.endpoint.get_headers(app_id, endpoint_id)
    assert (shown.headers, shown.sensitive) == ({"X-Two": "2"}, ["Authorization"])
    svix.message.create(app_id, MESSAGE)
    arrived = inbox.next()
    assert (arrived.headers["x-two"], arrived.headers["authorization"]) == ("2", "Basic abc")
    assert "x-one" not in arrived.headers


def test_how_deliveries_and_attempts_came_out(svix: Driven, app_id: str, inbox: Inbox) -> None:
    good, bad = inbox.subscribe(app_id), inbox.subscribe(app_id, status=500)
    svix.message.create(app_id, MESSAGE)
    for _ in range(4):  # one that is taken, three that are not
        inbox.next()
    since = datetime.now(UTC) - timedelta(hours=1)

    def stats(endpoint_id: str) -> tuple[int, ...]:
        found = svix.endpoint.get_stats(app_id, endpoint_id, EndpointGetStatsOptions(since=since))
        return (found.success, found.fail, found.pending, found.sending, found.canceled)

    wait_for(lambda: (stats(good.id), stats(bad.id)), lambda found: found == ((1, 0, 0, 0, 0), (0, 1, 0, 0, 0)))
    attempts = svix.endpoint.get_attempt_stats(app_id, bad.id)
    assert (attempts.success, attempts.fail, attempts.canceled) == (0, 3, 0)


def test_send_an_example(svix: Driven, app_id: str, endpoint_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)  # gets nothing of it
    schema = {"type": "object", "examples": [{"amount": 1}, {"amount": 2}]}
    svix.event_type.create(EventTypeIn(name="invoice.paid", description="Paid", schemas={"1": schema}))
    wish = EventExampleIn(event_type="invoice.paid", example_index=1)
    example = svix.endpoint.send_example(app_id, endpoint_id, wish)
    assert (example.event_type, example.payload) == ("invoice.paid", {"amount": 2})
    arrived = inbox.next()
    assert (arrived.headers["svix-id"], arrived.body, inbox.is_empty()) == (example.id, b'{"amount":2}', True)
    assert svix.endpoint.send_example(app_id, endpoint_id, EventExampleIn(event_type="svix.ping")).payload == {
        "success": True
    }


def test_validation_errors_reach_the_client(svix: Driven, app_id: str) -> None:
    with pytest.raises(HTTPValidationError) as error:
        svix.endpoint.create(app_id, EndpointIn(url="ftp://example.com", event_types=[], uid="ep_x"))
    assert [found.loc for found in error.value.detail] == [["body", "url"], ["body", "uid"], ["body", "eventTypes"]]


@pytest.mark.filterwarnings("ignore:Call to deprecated method")
def test_transformations(svix: Driven, app_id: str, endpoint_id: str, inbox: Inbox) -> None:
    """The code is JMESPath; what is sent is signed as it is."""
    none = svix.endpoint.transformation.get(app_id, endpoint_id)
    assert (none.code, none.enabled, none.variables) == (None, False, {})
    svix.endpoint.transformation.patch(app_id, endpoint_id, EndpointTransformationPatch(code="{total: amount}"))
    found = svix.endpoint.transformation.get(app_id, endpoint_id)
    assert (found.code, found.enabled) == ("{total: amount}", True)
    svix.message.create(app_id, MESSAGE)
    assert json.loads(inbox.next().body) == {"total": 12}

    svix.endpoint.transformation.patch(app_id, endpoint_id, EndpointTransformationPatch(enabled=False))
    assert svix.endpoint.transformation.get(app_id, endpoint_id).enabled is False
    svix.message.create(app_id, MESSAGE)
    assert json.loads(inbox.next().body) == {"amount": 12}

    script = "function handler(webhook) { return webhook }"
    for body in (EndpointTransformationPatch(code=script), EndpointTransformationPatch(variables={"a": "b"})):
        with pytest.raises(HTTPValidationError):
            svix.endpoint.transformation.patch(app_id, endpoint_id, body)
    svix.endpoint.transformation_partial_update(app_id, endpoint_id, EndpointTransformationIn(code=None))
    assert svix.endpoint.transformation.get(app_id, endpoint_id).code is None
