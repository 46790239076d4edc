"""Tokens for customers, as the official SDK sees them."""

from __future__ import annotations

import pytest
from svix.api import ApplicationIn, MessageIn
from svix.exceptions import HttpError

from integration.svix.conftest import Connect
from integration.svix.driven import Driven, Inbox
from support.server import Tenant

MESSAGE = MessageIn(event_type="invoice.paid", payload={"amount": 12})


@pytest.fixture
def customer(tenant: Tenant, connect: Connect, app_id: str) -> Driven:
    return connect(tenant.app_token(app_id))


def test_a_customer_manages_endpoints_and_reads(svix: Driven, customer: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    message = svix.message.create(app_id, MESSAGE)
    inbox.next()
    assert customer.application.get("customer").id == app_id
    assert customer.message.get(app_id, message.id).id == message.id
    made = customer.endpoint.list(app_id).data[0]
    customer.endpoint.delete(app_id, made.id)


def test_but_sends_nothing_and_stays_at_home(svix: Driven, customer: Driven, app_id: str) -> None:
    other = svix.application.create(ApplicationIn(name="Other", uid="other"))
    forbidden = [
        customer.application.list,
        lambda: customer.application.create(ApplicationIn(name="x")),
        lambda: customer.application.delete(app_id),
        lambda: customer.message.create(app_id, MESSAGE),
    ]
    for call in forbidden:
        with pytest.raises(HttpError) as error:
            call()
        assert error.value.status_code == 403
    for app in (other.id, "other"):
        with pytest.raises(HttpError) as error:
            customer.endpoint.list(app)
        assert error.value.status_code == 404


def test_no_token_of_ours(connect: Connect) -> None:
    with pytest.raises(HttpError) as error:
        connect("nobody's").application.list()
    assert (error.value.status_code, error.value.code) == (401, "authentication_failed")
