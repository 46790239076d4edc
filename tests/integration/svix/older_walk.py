"""What an SDK of the 1.x years does with a server, run by `test_svix_older.py` with that SDK on its path.

Its client is stricter than today's: it knows the status of each success, and refuses members that it misses.
Standard input has the server's address and a token.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import svix
from svix.api import (
    ApplicationIn,
    ApplicationListOptions,
    ApplicationPatch,
    AppPortalAccessIn,
    EndpointHeadersIn,
    EndpointIn,
    EndpointPatch,
    EndpointSecretRotateIn,
    EndpointUpdate,
    EventExampleIn,
    EventTypeIn,
    EventTypeUpdate,
    MessageAttemptListOptions,
    MessageIn,
    MessageListOptions,
    RecoverIn,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.webhooks import Webhook

from support.server import PATIENCE_S, Receiver

assert svix.__file__.endswith("svix-1/svix/__init__.py"), svix.__file__


def refused(status: int, call: Callable[[], object]) -> None:
    answered = 200
    try:
        call()
    except (HttpError, HTTPValidationError) as error:
        answered = error.status_code
    assert answered == status


def wait_for(ask: Callable[[], Any]) -> Any:
    until_s = time.monotonic() + PATIENCE_S
    while not (answer := ask()):
        assert time.monotonic() < until_s, answer
    return answer


def walk_applications(client: Svix) -> None:
    created = client.application.create(ApplicationIn(name="One", uid="one", rate_limit=5))
    assert (created.name, created.uid, created.rate_limit) == ("One", "one", 5)
    assert client.application.get("one").id == created.id
    assert client.application.get_or_create(ApplicationIn(name="Else", uid="one")).id == created.id
    assert client.application.update("one", ApplicationIn(name="Two", uid="one")).name == "Two"
    assert client.application.patch("one", ApplicationPatch(name="Three")).name == "Three"
    other = client.application.create(ApplicationIn(name="Other"))
    page = client.application.list(ApplicationListOptions(limit=1))
    assert ([found.id for found in page.data], page.done) == ([created.id], False)
    client.application.delete(other.id)
    refused(404, lambda: client.application.get(other.id))
    refused(409, lambda: client.application.create(ApplicationIn(name="Again", uid="one")))


def walk_endpoints(client: Svix, app_id: str, url: str) -> str:
    wish = EndpointIn(url=url, version=1, uid="main", filter_types=["invoice.paid"], channels=["eu"], rate_limit=50)
    created = client.endpoint.create(app_id, wish)
    assert (created.filter_types, created.channels, created.rate_limit) == (["invoice.paid"], ["eu"], 50)
    assert (created.version, created.disabled) == (1, False)
    assert client.endpoint.get(app_id, "main").id == created.id
    assert client.endpoint.patch(app_id, "main", EndpointPatch(channels=None)).channels is None
    updated = client.endpoint.update(app_id, "main", EndpointUpdate(url=url, uid="main", filter_types=["a.*"]))
    assert (updated.filter_types, updated.rate_limit) == (["a.*"], None)
    assert [found.id for found in client.endpoint.list(app_id).data] == [created.id]
    client.endpoint.update_headers(app_id, "main", EndpointHeadersIn(headers={"X-One": "1"}))
    client.endpoint.patch_headers(app_id, "main", EndpointHeadersIn(headers={"X-Two": "2"}))
    old = client.endpoint.get_secret(app_id, "main").key
    client.endpoint.rotate_secret(app_id, "main", EndpointSecretRotateIn())
    assert client.endpoint.get_secret(app_id, "main").key != old
    client.endpoint.send_example(app_id, "main", EventExampleIn(event_type="svix.ping"))
    refused(422, lambda: client.endpoint.create(app_id, EndpointIn(url="ftp://example.com", version=1)))
    return str(created.id)


def walk_event_types(client: Svix) -> None:
    created = client.event_type.create(EventTypeIn(name="a.b", description="First"))
    assert (created.name, created.archived) == ("a.b", False)
    assert client.event_type.update("a.b", EventTypeUpdate(description="Second")).description == "Second"
    assert client.event_type.get("a.b").description == "Second"
    assert [found.name for found in client.event_type.list().data] == ["a.b"]
    client.event_type.delete("a.b")
    assert client.event_type.list().data == []


def walk_messages(client: Svix, app_id: str, endpoint_id: str, receiver: Receiver) -> None:
    example = receiver.next()
    assert json.loads(example.body) == {"success": True}
    example_id = example.headers["svix-id"]
    wait_for(lambda: client.message_attempt.list_by_msg(app_id, example_id).data)
    created = client.message.create(app_id, MessageIn(event_type="a.b", event_id="evt", payload={"n": 1}))
    arrived = receiver.next()
    Webhook(client.endpoint.get_secret(app_id, endpoint_id).key).verify(arrived.body, arrived.headers)
    assert (arrived.headers["svix-id"], arrived.headers["x-two"]) == (created.id, "2")
    assert client.message.get(app_id, "evt").id == created.id
    page = client.message.list(app_id, MessageListOptions(event_types=["a.b"]))
    assert ([found.id for found in page.data], page.done) == ([created.id], True)

    attempts = wait_for(lambda: client.message_attempt.list_by_msg(app_id, created.id).data)
    assert [(int(found.status), found.response_status_code) for found in attempts] == [(0, 200)]
    assert client.message_attempt.get(app_id, created.id, attempts[0].id).id == attempts[0].id
    wish = MessageAttemptListOptions(status=0, event_types=["a.b"])
    assert len(client.message_attempt.list_by_endpoint(app_id, endpoint_id, wish).data) == 1
    destinations = client.message_attempt.list_attempted_destinations(app_id, created.id).data
    assert [found.id for found in destinations] == [endpoint_id]
    messages = client.message_attempt.list_attempted_messages(app_id, endpoint_id).data
    assert [found.id for found in messages] == [created.id, example_id]
    assert client.endpoint.get_stats(app_id, endpoint_id).success == 2
    client.message_attempt.resend(app_id, created.id, endpoint_id)
    assert receiver.next().headers["svix-id"] == created.id
    client.message_attempt.expunge_content(app_id, created.id, attempts[0].id)
    client.message.expunge_content(app_id, created.id)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    client.endpoint.recover(app_id, endpoint_id, RecoverIn(since=hour_ago))


def main() -> None:
    order = json.load(sys.stdin)
    client = Svix(order["token"], SvixOptions(server_url=order["url"]))
    with Receiver() as receiver:
        walk_applications(client)
        walk_event_types(client)
        endpoint_id = walk_endpoints(client, "one", f"{receiver.url}/200/older")
        walk_messages(client, "one", endpoint_id, receiver)
    access = client.authentication.app_portal_access("one", AppPortalAccessIn())
    assert access.token
    assert client.authentication.dashboard_access("one").token


if __name__ == "__main__":
    main()
