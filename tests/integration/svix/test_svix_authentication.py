"""Tokens for customers, as the official SDK sees them."""

from __future__ import annotations

import pytest
from svix.api import (
    ApplicationIn,
    ApplicationTokenExpireIn,
    AppPortalAccessIn,
    AppPortalCapability,
    EndpointIn,
    MessageIn,
)
from svix.exceptions import HttpError, HTTPValidationError

from integration.svix.conftest import Connect
from integration.svix.driven import Driven, Inbox, wait_for

MESSAGE = MessageIn(event_type="invoice.paid", payload={"amount": 12})


@pytest.fixture
def customer(svix: Driven, connect: Connect, app_id: str) -> Driven:
    return connect(svix.authentication.app_portal_access(app_id, AppPortalAccessIn()).token)


def status_of(call: object) -> int:
    """The status of what the server refuses; 200 when it does not."""
    assert callable(call)
    try:
        call()
    except (HttpError, HTTPValidationError) as error:
        return int(error.status_code)
    return 200


def test_access_to_the_portal(svix: Driven, connect: Connect) -> None:
    wish = AppPortalAccessIn(application=ApplicationIn(name="New", uid="new"), expiry=3_600, session_id="s1")
    access = svix.authentication.app_portal_access("new", wish)
    assert access.url.endswith(f"#token={access.token}")
    assert connect(access.token).application.get("new").name == "New"


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
    assert status_of(customer.application.list) == 403
    assert status_of(lambda: customer.application.create(ApplicationIn(name="x"))) == 403
    assert status_of(lambda: customer.application.delete(app_id)) == 403
    assert status_of(lambda: customer.message.create(app_id, MESSAGE)) == 403
    for app in (other.id, "other"):
        assert status_of(lambda app=app: customer.endpoint.list(app)) == 404


def test_capabilities_hold(svix: Driven, connect: Connect, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)

    def grant(**wishes: object) -> Driven:
        return connect(svix.authentication.app_portal_access(app_id, AppPortalAccessIn(**wishes)).token)

    viewer = grant(capabilities=[AppPortalCapability.VIEW_BASE])
    assert viewer.endpoint.get(app_id, endpoint.id).id == endpoint.id
    assert status_of(lambda: viewer.endpoint.get_secret(app_id, endpoint.id)) == 403
    reader = grant(read_only=True)
    assert status_of(lambda: reader.endpoint.create(app_id, EndpointIn(url=endpoint.url))) == 403
    assert status_of(lambda: grant(capabilities=[AppPortalCapability.MANAGE_ENDPOINT])) == 422  # without ViewBase
    assert status_of(lambda: grant(expiry=5)) == 422


def test_tokens_end(svix: Driven, connect: Connect, customer: Driven, app_id: str) -> None:
    session = svix.authentication.app_portal_access(app_id, AppPortalAccessIn(session_id="s7")).token
    svix.authentication.expire_all(app_id, ApplicationTokenExpireIn(session_ids=["s7"]))
    wait_for(lambda: status_of(lambda: connect(session).endpoint.list(app_id)), lambda status: status == 401)
    assert status_of(lambda: customer.endpoint.list(app_id)) == 200
    customer.authentication.logout()
    assert status_of(lambda: customer.endpoint.list(app_id)) == 401


def test_no_token_of_ours(connect: Connect) -> None:
    with pytest.raises(HttpError) as error:
        connect("nobody's").application.list()
    assert (error.value.status_code, error.value.code) == (401, "authentication_failed")
