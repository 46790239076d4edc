"""The official Svix SDK as the judge of the main API: every operation, over a real socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from svix.api import (
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    EndpointHeadersIn,
    EndpointHeadersPatchIn,
    EndpointIn,
    EndpointListOptions,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpsertIn,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageCreateOptions,
    MessageGetOptions,
    MessageIn,
    MessageListOptions,
    SvixAsync,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import Ordering
from svix.webhooks import Webhook

from support.server import Receiver, RunningServer, Tenant


@pytest.fixture
def app_id(tenant: Tenant) -> str:
    return tenant.svix.application.create(ApplicationIn(name="Customer", uid="customer")).id


@pytest.fixture
def endpoint_id(tenant: Tenant, app_id: str, receiver: Receiver) -> str:
    return tenant.svix.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/200/{app_id}", uid="main")).id


def send(tenant: Tenant, app_id: str, **fields: Any) -> Any:
    message = MessageIn(**{"event_type": "invoice.paid", "payload": {"amount": 12}, **fields})
    return tenant.svix.message.create(app_id, message)


class TestApplications:
    def test_create_get_update_patch_delete(self, tenant: Tenant) -> None:
        created = tenant.svix.application.create(
            ApplicationIn(name="One", uid="one", throttle_rate=5, metadata={"plan": "gold"})
        )
        assert created.id.startswith("app_")
        assert (created.name, created.uid, created.throttle_rate, created.metadata) == (
            "One",
            "one",
            5,
            {"plan": "gold"},
        )
        assert created.created_at.tzinfo is not None
        assert tenant.svix.application.get("one") == tenant.svix.application.get(created.id) == created

        updated = tenant.svix.application.upsert("one", ApplicationIn(name="Two", uid="two"))
        assert (updated.id, updated.name, updated.uid, updated.throttle_rate, updated.metadata) == (
            created.id, "Two", "two", None, {},
        )  # fmt: skip
        patched = tenant.svix.application.patch("two", ApplicationPatch(name="Three"))
        assert (patched.name, patched.uid) == ("Three", "two")
        assert tenant.svix.application.patch("two", ApplicationPatch(uid=None)).uid is None

        tenant.svix.application.delete(created.id)
        with pytest.raises(HttpError) as error:
            tenant.svix.application.get(created.id)
        assert (error.value.status_code, error.value.code, error.value.detail) == (404, "not_found", "Entity not found")

    def test_get_or_create(self, tenant: Tenant) -> None:
        first = tenant.svix.application.get_or_create(ApplicationIn(name="A", uid="same"))
        second = tenant.svix.application.get_or_create(ApplicationIn(name="B", uid="same"))
        assert first == second
        with pytest.raises(HttpError) as error:
            tenant.svix.application.create(ApplicationIn(name="C", uid="same"))
        assert (error.value.status_code, error.value.code) == (409, "conflict")

    def test_update_creates_what_is_not_there(self, tenant: Tenant) -> None:
        made = tenant.svix.application.upsert("new", ApplicationIn(name="New", uid="new"))
        assert tenant.svix.application.get("new").id == made.id

    def test_a_deleted_uid_is_free_again(self, tenant: Tenant) -> None:
        first = tenant.svix.application.create(ApplicationIn(name="A", uid="again"))
        tenant.svix.application.delete("again")
        assert tenant.svix.application.create(ApplicationIn(name="B", uid="again")).id != first.id

    def test_list_in_pages_both_ways(self, tenant: Tenant) -> None:
        made = [tenant.svix.application.create(ApplicationIn(name=f"app {number}")).id for number in range(5)]
        first = tenant.svix.application.list(ApplicationListOptions(limit=2))
        assert [app.id for app in first.data] == made[:2]
        assert not first.done
        second = tenant.svix.application.list(ApplicationListOptions(limit=2, iterator=first.iterator))
        assert [app.id for app in second.data] == made[2:4]
        last = tenant.svix.application.list(ApplicationListOptions(limit=2, iterator=second.iterator))
        assert ([app.id for app in last.data], last.done) == (made[4:], True)
        back = tenant.svix.application.list(ApplicationListOptions(limit=2, iterator=second.prev_iterator))
        assert [app.id for app in back.data] == made[:2]
        newest = tenant.svix.application.list(ApplicationListOptions(limit=2, order=Ordering.DESCENDING))
        assert [app.id for app in newest.data] == [made[4], made[3]]

    def test_an_empty_list(self, tenant: Tenant) -> None:
        empty = tenant.svix.application.list()
        assert (empty.data, empty.done, empty.iterator, empty.prev_iterator) == ([], True, None, None)


class TestEndpoints:
    def test_create_get_update_patch_delete(self, tenant: Tenant, app_id: str, receiver: Receiver) -> None:
        url = f"{receiver.url}/200/{app_id}"
        created = tenant.svix.endpoint.create(
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
        assert tenant.svix.endpoint.get(app_id, "ep1") == created
        assert tenant.svix.endpoint.get_headers(app_id, "ep1").headers == {"X-Mine": "1"}

        secret = tenant.svix.endpoint.get_secret(app_id, "ep1").key
        updated = tenant.svix.endpoint.upsert(app_id, "ep1", EndpointUpsertIn(url=url, uid="ep2"))
        assert (updated.id, updated.uid, updated.event_types, updated.channels) == (created.id, "ep2", None, None)
        assert tenant.svix.endpoint.get_secret(app_id, "ep2").key == secret
        assert tenant.svix.endpoint.get_headers(app_id, "ep2").headers == {"X-Mine": "1"}

        patched = tenant.svix.endpoint.patch(app_id, "ep2", EndpointPatch(disabled=True, event_types=["x.y"]))
        assert (patched.disabled, patched.event_types, patched.url) == (True, ["x.y"], url)
        assert tenant.svix.endpoint.patch(app_id, "ep2", EndpointPatch(event_types=None)).event_types is None

        tenant.svix.endpoint.delete(app_id, created.id)
        with pytest.raises(HttpError) as error:
            tenant.svix.endpoint.get(app_id, created.id)
        assert error.value.status_code == 404

    def test_secrets(self, tenant: Tenant, app_id: str, endpoint_id: str) -> None:
        first = tenant.svix.endpoint.get_secret(app_id, endpoint_id).key
        assert first.startswith("whsec_")
        rotated = tenant.svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
        second = tenant.svix.endpoint.get_secret(app_id, endpoint_id).key
        assert rotated.key == second != first
        own = "whsec_" + "AbCd" * 8
        tenant.svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn(key=own, grace_period_seconds=0))
        assert tenant.svix.endpoint.get_secret(app_id, endpoint_id).key == own

    def test_both_secrets_sign_during_the_period_of_grace(
        self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver
    ) -> None:
        old = tenant.svix.endpoint.get_secret(app_id, endpoint_id).key
        new = tenant.svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn()).key
        send(tenant, app_id)
        arrived = receiver.next()
        for secret in (old, new):
            Webhook(secret).verify(arrived.body, arrived.headers)  # raises unless it is signed

    def test_too_many_old_secrets(self, tenant: Tenant, app_id: str, endpoint_id: str) -> None:
        for _ in range(10):
            tenant.svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
        with pytest.raises(HttpError) as error:
            tenant.svix.endpoint.rotate_secret(app_id, endpoint_id, EndpointSecretRotateIn())
        assert (error.value.status_code, error.value.code) == (400, "limit_reached")

    def test_headers(self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver) -> None:
        tenant.svix.endpoint.set_headers(
            app_id, endpoint_id, EndpointHeadersIn(headers={"X-One": "1", "Authorization": "Basic abc"})
        )
        tenant.svix.endpoint.patch_headers(
            app_id, endpoint_id, EndpointHeadersPatchIn(headers={"X-Two": "2"}, delete_headers=["x-one"])
        )
        shown = tenant.svix.endpoint.get_headers(app_id, endpoint_id)
        assert (shown.headers, shown.sensitive) == ({"X-Two": "2"}, ["Authorization"])
        send(tenant, app_id)
        arrived = receiver.next()
        assert (arrived.headers["x-two"], arrived.headers["authorization"]) == ("2", "Basic abc")
        assert "x-one" not in arrived.headers

    def test_list_newest_first(self, tenant: Tenant, app_id: str, receiver: Receiver) -> None:
        made = [tenant.svix.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/200/x")).id for _ in range(3)]
        assert [endpoint.id for endpoint in tenant.svix.endpoint.list(app_id).data] == made[::-1]
        page = tenant.svix.endpoint.list(app_id, EndpointListOptions(limit=2, order=Ordering.ASCENDING))
        assert ([endpoint.id for endpoint in page.data], page.done) == (made[:2], False)


class TestMessages:
    def test_create_deliver_and_verify(self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver) -> None:
        created = send(tenant, "customer", event_id="evt-1", channels=["eu", "us"])
        assert created.id.startswith("msg_")
        assert (created.event_type, created.event_id, created.channels) == ("invoice.paid", "evt-1", ["eu", "us"])
        assert created.payload == {}  # the SDK asks for no content
        arrived = receiver.next()
        secret = tenant.svix.endpoint.get_secret(app_id, endpoint_id).key
        Webhook(secret).verify(arrived.body, arrived.headers)  # raises unless it is signed
        assert arrived.body == b'{"amount":12}'
        assert arrived.headers["svix-id"] == arrived.headers["webhook-id"] == created.id
        with_content = tenant.svix.message.get(app_id, "evt-1", MessageGetOptions(with_content=True))
        assert (with_content.id, with_content.payload) == (created.id, {"amount": 12})
        assert tenant.svix.message.get(app_id, created.id).payload == {}

    def test_content_in_the_answer(self, tenant: Tenant, app_id: str) -> None:
        message = MessageIn(event_type="a.b", payload={"é": [1, None]})
        answer = tenant.svix.message.create(app_id, message, MessageCreateOptions(with_content=True))
        assert answer.payload == {"é": [1, None]}

    def test_list_newest_first_and_filtered(self, tenant: Tenant, app_id: str) -> None:
        made = [send(tenant, app_id, event_type=f"type.{number % 2}", channels=[f"c{number}"]) for number in range(4)]
        everything = tenant.svix.message.list(app_id, MessageListOptions(with_content=True))
        assert [message.id for message in everything.data] == [message.id for message in made[::-1]]
        assert everything.data[0].payload == {"amount": 12}

        def found(**options: Any) -> list[str]:
            return [message.id for message in tenant.svix.message.list(app_id, MessageListOptions(**options)).data]

        assert found(event_types=["type.1"]) == [made[3].id, made[1].id]
        assert found(event_types=["type.1", "type.0"], limit=1) == [made[3].id]
        assert found(channel="c2") == [made[2].id]
        assert found(before=datetime.now(UTC) - timedelta(hours=1)) == []
        assert found(after=datetime.now(UTC) + timedelta(hours=1)) == []
        assert (
            len(found(before=datetime.now(UTC) + timedelta(hours=1), after=datetime.now(UTC) - timedelta(hours=1))) == 4
        )
        first = tenant.svix.message.list(app_id, MessageListOptions(limit=3))
        rest = tenant.svix.message.list(app_id, MessageListOptions(limit=3, iterator=first.iterator))
        assert ([message.id for message in rest.data], rest.done) == ([made[0].id], True)

    def test_an_event_id_is_unique(self, tenant: Tenant, app_id: str) -> None:
        first = send(tenant, app_id, event_id="same")
        with pytest.raises(HttpError) as error:
            send(tenant, app_id, event_id="same")
        assert (error.value.status_code, error.value.code) == (409, "conflict")
        assert tenant.svix.message.get(app_id, "same").id == first.id

    def test_the_same_request_again_is_the_same_message(self, tenant: Tenant, app_id: str) -> None:
        message = MessageIn(event_type="a.b", payload={"n": 1}, event_id="evt")
        options = MessageCreateOptions(idempotency_key="k1")
        first = tenant.svix.message.create(app_id, message, options)
        assert tenant.svix.message.create(app_id, message, options).id == first.id
        with pytest.raises(HTTPValidationError) as error:
            tenant.svix.message.create(app_id, MessageIn(event_type="a.b", payload={"n": 2}), options)
        assert error.value.detail[0].loc == ["header", "idempotency-key"]
        assert len(tenant.svix.message.list(app_id).data) == 1

    def test_a_message_may_bring_its_application_along(self, tenant: Tenant) -> None:
        message = MessageIn(event_type="a.b", payload={}, application=ApplicationIn(name="Brought", uid="brought"))
        created = tenant.svix.message.create("brought", message)
        assert tenant.svix.application.get("brought").name == "Brought"
        assert tenant.svix.message.get("brought", created.id).id == created.id


class TestAttempts:
    def test_lists_and_single_one(self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver) -> None:
        message = send(tenant, app_id, event_id="evt", channels=["eu"])
        receiver.next()
        attempt = self._wait_for_attempts(tenant, app_id, message.id, 1)[0]
        assert attempt.id.startswith("atmpt_")
        assert (attempt.status, attempt.status_text, attempt.trigger_type) == (0, "success", 0)
        assert (attempt.msg_id, attempt.endpoint_id) == (message.id, endpoint_id)
        assert (attempt.response_status_code, attempt.response) == (200, "thanks")
        assert attempt.url.endswith(f"/200/{app_id}")
        assert tenant.svix.message_attempt.get(app_id, message.id, attempt.id) == attempt

        def by_endpoint(**options: Any) -> list[Any]:
            chosen = MessageAttemptListByEndpointOptions(**options)
            return tenant.svix.message_attempt.list_by_endpoint(app_id, "main", chosen).data

        [with_message] = by_endpoint(with_msg=True, with_content=True)
        assert with_message.msg.payload == {"amount": 12}
        assert by_endpoint(with_content=False)[0].response == "{}"
        assert [found.id for found in by_endpoint(status=0, status_code_class=200)] == [attempt.id]
        assert by_endpoint(status=2) == by_endpoint(status=1) == by_endpoint(status_code_class=500) == []
        assert [found.id for found in by_endpoint(channel="eu", event_types=["invoice.paid"])] == [attempt.id]
        assert by_endpoint(channel="us") == by_endpoint(event_types=["other"]) == by_endpoint(tag="x") == []
        by_message = tenant.svix.message_attempt.list_by_msg(
            app_id, "evt", MessageAttemptListByMsgOptions(endpoint_id="main")
        )
        assert [found.id for found in by_message.data] == [attempt.id]

        destinations = tenant.svix.message_attempt.list_attempted_destinations(app_id, message.id)
        assert [(found.id, found.status, found.status_text) for found in destinations.data] == [
            (endpoint_id, 0, "success")
        ]

    def test_resend(self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver) -> None:
        message = send(tenant, app_id)
        first = receiver.next()
        tenant.svix.message_attempt.resend(app_id, message.id, endpoint_id)
        second = receiver.next()
        assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
        attempts = self._wait_for_attempts(tenant, app_id, message.id, 2)
        assert [attempt.trigger_type for attempt in attempts] == [1, 0]

    def test_failures_are_retried_and_recorded(self, tenant: Tenant, app_id: str, receiver: Receiver) -> None:
        tenant.svix.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/500/{app_id}"))
        message = send(tenant, app_id)
        for _ in range(3):
            receiver.next()
        attempts = self._wait_for_attempts(tenant, app_id, message.id, 3)
        assert [(attempt.status_text, attempt.response_status_code) for attempt in attempts] == [("fail", 500)] * 3
        destinations = tenant.svix.message_attempt.list_attempted_destinations(app_id, message.id)
        assert [found.status_text for found in destinations.data] == ["fail"]

    def _wait_for_attempts(self, tenant: Tenant, app_id: str, message_id: str, count: int) -> list[Any]:
        """Outcomes are written a moment after the request: ask until they are there."""
        options = MessageAttemptListByMsgOptions(with_content=True)
        for _ in range(200):
            found = tenant.svix.message_attempt.list_by_msg(app_id, message_id, options).data
            if len(found) >= count:
                break
            tenant.server.call(_a_moment())
        assert len(found) == count
        return found


async def _a_moment() -> None:
    import asyncio

    await asyncio.sleep(0.05)


class TestTokensForCustomers:
    def test_a_customer_manages_endpoints_and_reads(
        self, tenant: Tenant, app_id: str, endpoint_id: str, receiver: Receiver
    ) -> None:
        message = send(tenant, app_id)
        customer = tenant.svix_with(tenant.app_token(app_id))
        assert customer.application.get("customer").id == app_id
        assert customer.message.get(app_id, message.id).id == message.id
        made = customer.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/200/own"))
        customer.endpoint.delete(app_id, made.id)
        receiver.next()

    def test_but_sends_nothing_and_stays_at_home(self, tenant: Tenant, app_id: str) -> None:
        other = tenant.svix.application.create(ApplicationIn(name="Other", uid="other"))
        customer = tenant.svix_with(tenant.app_token(app_id))
        forbidden = [
            customer.application.list,
            lambda: customer.application.create(ApplicationIn(name="x")),
            lambda: customer.application.delete(app_id),
            lambda: customer.message.create(app_id, MessageIn(event_type="a.b", payload={})),
        ]
        for call in forbidden:
            with pytest.raises(HttpError) as error:
                call()
            assert error.value.status_code == 403
        for app in (other.id, "other"):
            with pytest.raises(HttpError) as error:
                customer.endpoint.list(app)
            assert error.value.status_code == 404


async def test_the_asynchronous_client(server: RunningServer, tenant: Tenant, receiver: Receiver) -> None:
    svix = SvixAsync(tenant.token, SvixOptions(server_url=server.url, retry_schedule=[]))
    app = await svix.application.create(ApplicationIn(name="Async", uid="async"))
    endpoint = await svix.endpoint.create(app.id, EndpointIn(url=f"{receiver.url}/200/async", event_types=["a.b"]))
    message = await svix.message.create("async", MessageIn(event_type="a.b", payload={"n": 1}))
    arrived = receiver.next()
    assert json.loads(arrived.body) == {"n": 1}
    assert arrived.headers["webhook-id"] == message.id
    assert [found.id for found in (await svix.endpoint.list(app.id)).data] == [endpoint.id]
    assert [found.id for found in (await svix.message.list(app.id)).data] == [message.id]
    await svix.message_attempt.resend(app.id, message.id, endpoint.id)
    receiver.next()
    await svix.application.delete(app.id)
    await svix._httpx_client.aclose()


def test_health(tenant: Tenant) -> None:
    tenant.svix.health.get()


def test_validation_errors_reach_the_client(tenant: Tenant, app_id: str) -> None:
    with pytest.raises(HTTPValidationError) as error:
        tenant.svix.endpoint.create(app_id, EndpointIn(url="ftp://example.com", event_types=[], uid="ep_x"))
    assert [found.loc for found in error.value.detail] == [["body", "url"], ["body", "uid"], ["body", "eventTypes"]]
