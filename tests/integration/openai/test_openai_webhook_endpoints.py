"""Webhook endpoints, driven by the official client; what arrives is unwrapped by it."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import openai as sdk
import pytest
from openai import AsyncOpenAI, OpenAI

from hookline.model.openai_events import OPENAI_EVENTS, SUBSCRIBABLE
from support.server import Receiver, RunningServer, Tenant

EVENTS = ["response.completed", "realtime.call.incoming"]


def _object(client: OpenAI) -> str:
    return "webhook.endpoint" if "dashboard" in str(client.base_url) else "webhook_endpoint"


def test_every_method_at_every_address(client: OpenAI, receiver: Receiver):
    url = f"{receiver.url}/200/hook"
    made = client.webhooks.create(name="Mine", url=url, event_types=EVENTS)
    assert made.object == _object(client)
    assert made.id.startswith("whe_")
    assert made.signing_secret.startswith("whsec_")
    assert made.signing_secret_hint == f"whsec_...{made.signing_secret[-4:]}"
    assert (made.name, made.url, made.event_types) == ("Mine", url, EVENTS)

    found = client.webhooks.retrieve(made.id)
    assert (found.id, found.created_at, found.updated_at) == (made.id, made.created_at, made.updated_at)
    assert not hasattr(found, "signing_secret")

    changed = client.webhooks.update(made.id, name="Renamed", event_types=["batch.completed"])
    assert (changed.name, changed.url, changed.event_types) == ("Renamed", url, ["batch.completed"])
    assert changed.signing_secret_hint == made.signing_secret_hint

    tested = client.webhooks.test(made.id, event_type="response.failed")
    assert (tested.object, tested.webhook_endpoint_id, tested.success) == ("webhook_endpoint.test", made.id, True)
    assert (tested.event_type, tested.status_code) == ("response.failed", 200)
    arrived = receiver.next()
    event = client.webhooks.unwrap(arrived.body, arrived.headers, secret=made.signing_secret)
    assert (event.type, event.data.id) == ("response.failed", "resp_abc123")

    rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    assert rotated.signing_secret != made.signing_secret
    client.webhooks.test(made.id, event_type="response.failed")
    arrived = receiver.next()
    for secret in (rotated.signing_secret, made.signing_secret):
        client.webhooks.unwrap(arrived.body, arrived.headers, secret=secret)

    last = client.webhooks.rotate_secret(made.id)
    client.webhooks.test(made.id, event_type="response.failed")
    arrived = receiver.next()
    client.webhooks.unwrap(arrived.body, arrived.headers, secret=last.signing_secret)
    with pytest.raises(sdk.InvalidWebhookSignatureError):
        client.webhooks.unwrap(arrived.body, arrived.headers, secret=rotated.signing_secret)

    others = [client.webhooks.create(name=f"n{n}", url=url, event_types=EVENTS).id for n in range(3)]
    assert [one.id for one in client.webhooks.list(limit=2)] == [*reversed(others), made.id]
    assert list(client.webhooks.event_types.list().data) == list(SUBSCRIBABLE)

    gone = client.webhooks.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "webhook_endpoint.deleted", True)
    with pytest.raises(sdk.NotFoundError):
        client.webhooks.retrieve(made.id)


def test_the_asynchronous_client_does_the_same(server: RunningServer, tenant: Tenant, receiver: Receiver):
    async def walk() -> None:
        async with AsyncOpenAI(base_url=f"{server.url}/openai/v1", api_key=tenant.token) as client:
            made = await client.webhooks.create(name="Mine", url=f"{receiver.url}/200/hook", event_types=EVENTS)
            await client.webhooks.update(made.id, name="Renamed")
            assert [one.name async for one in client.webhooks.list()] == ["Renamed"]
            assert (await client.webhooks.test(made.id, event_type="batch.completed")).status_code == 200
            assert (await client.webhooks.rotate_secret(made.id)).signing_secret != made.signing_secret
            assert (await client.webhooks.retrieve(made.id)).id == made.id
            assert len((await client.webhooks.event_types.list()).data) == len(SUBSCRIBABLE)
            assert (await client.webhooks.delete(made.id)).deleted

    asyncio.run(walk())


def test_every_event_of_the_platform_is_sent_and_unwrapped(openai: OpenAI, tenant: Tenant, receiver: Receiver):
    made = openai.webhooks.create(name="All", url=f"{receiver.url}/200/hook", event_types=list(SUBSCRIBABLE))
    for name in SUBSCRIBABLE:
        sent = openai.post("/events", body={"type": name, "data": OPENAI_EVENTS[name].example}, cast_to=dict)
        arrived = receiver.next()
        event = openai.webhooks.unwrap(arrived.body, arrived.headers, secret=made.signing_secret)
        assert (event.type, event.id) == (name, sent["id"])
        assert event.data.to_dict() == OPENAI_EVENTS[name].example
    assert arrived.headers["user-agent"].startswith("OpenAI/1.0")


def test_an_incoming_call_has_its_sip_headers(openai: OpenAI, receiver: Receiver):
    made = openai.webhooks.create(name="Calls", url=f"{receiver.url}/200/", event_types=["realtime.call.incoming"])
    headers = [{"name": "From", "value": "sip:+1@a.example"}, {"name": "To", "value": "sip:+2@b.example"}]
    call = {"call_id": "rtc_1", "sip_headers": headers}
    openai.post("/events", body={"type": "realtime.call.incoming", "data": call}, cast_to=dict)
    arrived = receiver.next()
    event = openai.webhooks.unwrap(arrived.body, arrived.headers, secret=made.signing_secret)
    assert event.type == "realtime.call.incoming"
    assert event.data.call_id == "rtc_1"
    assert [(one.name, one.value) for one in event.data.sip_headers] == [(h["name"], h["value"]) for h in headers]


def test_an_event_with_an_id_is_sent_once(openai: OpenAI, receiver: Receiver):
    openai.webhooks.create(name="All", url=f"{receiver.url}/200/", event_types=EVENTS)
    event = {"type": "response.completed", "data": {"id": "resp_1"}, "id": "mine-1"}
    openai.post("/events", body=event, cast_to=dict)
    with pytest.raises(sdk.ConflictError):
        openai.post("/events", body=event, cast_to=dict)
    receiver.next()
    assert receiver.arrived.empty()


def test_nothing_has_to_be_created_first_and_applications_are_apart(server: RunningServer, tenant: Tenant):
    with OpenAI(base_url=f"{server.url}/v1", api_key=tenant.token) as organization:
        assert list(organization.webhooks.list()) == []
        made = organization.webhooks.create(name="Mine", url="https://93.184.216.34/hook", event_types=EVENTS)
    assert tenant.http.get(f"/app/default/endpoint/{made.id.replace('whe_', 'ep_')}").json()["dialect"] == "openai"
    application = tenant.http.post("/app", json={"name": "Other"}).json()["id"]
    with OpenAI(base_url=f"{server.url}/v1", api_key=tenant.app_token(application)) as customer:
        assert list(customer.webhooks.list()) == []
        with pytest.raises(sdk.NotFoundError):
            customer.webhooks.retrieve(made.id)
        with pytest.raises(sdk.PermissionDeniedError):
            customer.post("/events", body={"type": "response.completed", "data": {"id": "resp_1"}}, cast_to=dict)


def test_endpoints_of_other_dialects_are_not_seen(openai: OpenAI, tenant: Tenant):
    openai.webhooks.create(name="Mine", url="https://93.184.216.34/hook", event_types=EVENTS)
    other = tenant.http.post("/app/default/endpoint", json={"url": "https://93.184.216.34/hook"}).json()["id"]
    assert [one.name for one in openai.webhooks.list()] == ["Mine"]
    for act in (openai.webhooks.retrieve, openai.webhooks.delete, openai.webhooks.rotate_secret):
        with pytest.raises(sdk.NotFoundError):
            act(other)


def test_an_update_that_changes_nothing_leaves_no_trace(openai: OpenAI, tenant: Tenant):
    made = openai.webhooks.create(name="Mine", url="https://93.184.216.34/hook", event_types=EVENTS)
    path = f"/app/default/endpoint/{made.id.replace('whe_', 'ep_')}"
    before = tenant.http.get(path).json()["updatedAt"]
    openai.webhooks.update(made.id, name="Mine", event_types=EVENTS)
    assert tenant.http.get(path).json()["updatedAt"] == before


class TestErrors:
    def test_of_a_stranger(self, server: RunningServer):
        with (
            OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0) as stranger,
            pytest.raises(sdk.AuthenticationError) as caught,
        ):
            stranger.webhooks.list()
        assert caught.value.code == "invalid_api_key"
        assert caught.value.request_id

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"url": "ftp://example.com/hook"}, "url"),
            ({"url": "https://10.0.0.1/hook"}, "url"),
            ({"url": "https://example.com/" + "a" * 2_048}, "url"),
            ({"name": ""}, "name"),
            ({"name": "n" * 257}, "name"),
            ({"name": None}, "name"),
            ({"event_types": []}, "event_types"),
            ({"event_types": ["no.such"]}, "event_types.0"),
            ({"event_types": None}, "event_types"),
            ({"event_types": "response.completed"}, "event_types"),
        ],
    )
    def test_of_input(self, openai: OpenAI, changes: dict[str, object], param: str):
        good: dict[str, object] = {"name": "Mine", "url": "https://example.com/hook", "event_types": EVENTS}
        with pytest.raises(sdk.BadRequestError) as caught:
            openai.post("/webhook_endpoints", body={**good, **changes}, cast_to=dict)
        assert caught.value.param == param
        assert caught.value.type == "invalid_request_error"
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert list(openai.webhooks.list()) == []

    def test_of_an_unknown_path_a_wrong_method_and_a_large_body(self, server: RunningServer, tenant: Tenant):
        with httpx2.Client(base_url=server.url, headers={"api-key": tenant.token}) as http:
            answers = [
                http.get("/openai/v1/nothing"),
                http.put("/openai/v1/webhook_endpoints"),
                http.post("/v1/webhook_endpoints", content=b"x" * 2_000_000),
                http.post("/v1/webhook_endpoints", content=b"{"),
                http.get("/v1/webhook_endpoints?limit=0"),
                http.get("/v1/webhook_endpoints?after=nobody"),
            ]
        assert [answer.status_code for answer in answers] == [404, 405, 413, 400, 400, 400]
        for answer in answers:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
            assert answer.headers["x-request-id"]

    def test_of_a_test_that_nobody_answers(self, openai: OpenAI):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        made = openai.webhooks.create(name="Mine", url=f"http://127.0.0.1:{port}/hook", event_types=EVENTS)
        with pytest.raises(sdk.APIStatusError) as caught:
            openai.webhooks.test(made.id, event_type="response.completed")
        assert caught.value.code == "webhook_endpoint_unreachable"
        assert caught.value.status_code == 400
        with pytest.raises(sdk.BadRequestError):
            openai.webhooks.test(made.id, event_type="no.such")  # type: ignore[arg-type]
