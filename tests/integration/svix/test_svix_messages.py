"""Messages, as the official SDK sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from svix.api import (
    ApplicationIn,
    BulkExpungeContentsIn,
    MessageCreateOptions,
    MessageGetOptions,
    MessageIn,
    MessageListOptions,
    MessagePrecheckIn,
)
from svix.api.message import message_in_raw
from svix.exceptions import HttpError, HTTPValidationError

from integration.svix.driven import Driven, Inbox


def send(svix: Driven, app_id: str, **fields: Any) -> Any:
    message = MessageIn(**{"event_type": "invoice.paid", "payload": {"amount": 12}, **fields})
    return svix.message.create(app_id, message)


def test_create_deliver_and_verify(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    created = send(svix, "customer", event_id="evt-1", channels=["eu", "us"])
    assert created.id.startswith("msg_")
    assert (created.event_type, created.event_id, created.channels) == ("invoice.paid", "evt-1", ["eu", "us"])
    assert created.payload == {}  # the SDK asks for no content
    arrived = inbox.next()
    assert arrived.body == b'{"amount":12}'
    assert arrived.headers["svix-id"] == arrived.headers["webhook-id"] == created.id
    with_content = svix.message.get(app_id, "evt-1", MessageGetOptions(with_content=True))
    assert (with_content.id, with_content.payload) == (created.id, {"amount": 12})
    assert svix.message.get(app_id, created.id).payload == {}


def test_content_in_the_answer(svix: Driven, app_id: str) -> None:
    message = MessageIn(event_type="a.b", payload={"é": [1, None]})
    answer = svix.message.create(app_id, message, MessageCreateOptions(with_content=True))
    assert answer.payload == {"é": [1, None]}


def test_only_what_an_endpoint_wants(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id, event_types=["order.*"], channels=["eu"])
    send(svix, app_id, channels=["eu"])
    send(svix, app_id, event_type="order.paid", channels=["us"])
    wanted = send(svix, app_id, event_type="order.paid", channels=["eu", "us"])
    assert (inbox.next().headers["svix-id"], inbox.is_empty()) == (wanted.id, True)


def test_ask_before_sending(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id, event_types=["order.*"], channels=["eu"])
    wanted = MessagePrecheckIn(event_type="order.paid", channels=["eu"])
    unwanted = MessagePrecheckIn(event_type="order.paid", channels=["us"])
    assert [svix.message.precheck(app_id, wish).active for wish in (wanted, unwanted)] == [True, False]


def test_list_newest_first_and_filtered(svix: Driven, app_id: str) -> None:
    made = [send(svix, app_id, event_type=f"type.{number % 2}", channels=[f"c{number}"]) for number in range(4)]
    everything = svix.message.list(app_id, MessageListOptions(with_content=True))
    assert [message.id for message in everything.data] == [message.id for message in made[::-1]]
    assert everything.data[0].payload == {"amount": 12}

    def found(**options: Any) -> list[str]:
        return [message.id for message in svix.message.list(app_id, MessageListOptions(**options)).data]

    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert found(event_types=["type.1"]) == [made[3].id, made[1].id]
    assert found(event_types=["type.1", "type.0"], limit=1) == [made[3].id]
    assert found(channel="c2") == [made[2].id]
    assert found(before=now - hour) == found(after=now + hour) == []
    assert len(found(before=now + hour, after=now - hour)) == 4
    first = svix.message.list(app_id, MessageListOptions(limit=3))
    rest = svix.message.list(app_id, MessageListOptions(limit=3, iterator=first.iterator))
    assert ([message.id for message in rest.data], rest.done) == ([made[0].id], True)


def test_tags(svix: Driven, app_id: str) -> None:
    tagged = send(svix, app_id, tags=["red", "big"])
    send(svix, app_id)
    assert tagged.tags == ["red", "big"]
    assert [found.id for found in svix.message.list(app_id, MessageListOptions(tag="big")).data] == [tagged.id]
    assert svix.message.list(app_id, MessageListOptions(tag="green")).data == []


def test_deliver_later(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    later = datetime.now(UTC) + timedelta(hours=1)
    waiting = send(svix, app_id, deliver_at=later)
    soon = send(svix, app_id, deliver_at=datetime.now(UTC) + timedelta(seconds=1.5))
    assert abs(waiting.deliver_at - later) < timedelta(seconds=1)
    assert (inbox.next().headers["svix-id"], inbox.is_empty()) == (soon.id, True)
    [destination] = svix.message_attempt.list_attempted_destinations(app_id, waiting.id).data
    assert (destination.status_text, destination.next_attempt - later < timedelta(seconds=1)) == ("pending", True)


def test_a_payload_in_its_own_bytes(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    svix.message.create(app_id, message_in_raw("a.b", '{"n" : 1.0}'))
    assert inbox.next().body == b'{"n" : 1.0}'


def test_remove_contents(svix: Driven, app_id: str) -> None:
    first, second = send(svix, app_id, event_id="evt"), send(svix, app_id)
    svix.message.expunge_content(app_id, "evt")
    wish = BulkExpungeContentsIn(ids=[first.id, second.id, "nobody"])
    results = svix.message.bulk_expunge_content(app_id, wish).results
    assert {name: str(result) for name, result in results.items()} == {
        first.id: "expunged",
        second.id: "expunged",
        "nobody": "not-found",
    }
    contents = svix.message.list(app_id, MessageListOptions(with_content=True)).data
    assert [message.payload for message in contents] == [{"expired": True}] * 2


def test_an_event_id_is_unique(svix: Driven, app_id: str) -> None:
    first = send(svix, app_id, event_id="same")
    with pytest.raises(HttpError) as error:
        send(svix, app_id, event_id="same")
    assert (error.value.status_code, error.value.code) == (409, "conflict")
    assert svix.message.get(app_id, "same").id == first.id


def test_the_same_request_again_is_the_same_message(svix: Driven, app_id: str) -> None:
    message = MessageIn(event_type="a.b", payload={"n": 1}, event_id="evt")
    options = MessageCreateOptions(idempotency_key="k1")
    first = svix.message.create(app_id, message, options)
    assert svix.message.create(app_id, message, options).id == first.id
    with pytest.raises(HTTPValidationError) as error:
        svix.message.create(app_id, MessageIn(event_type="a.b", payload={"n": 2}), options)
    assert error.value.detail[0].loc == ["header", "idempotency-key"]
    assert len(svix.message.list(app_id).data) == 1


def test_a_message_may_bring_its_application_along(svix: Driven) -> None:
    message = MessageIn(event_type="a.b", payload={}, application=ApplicationIn(name="Brought", uid="brought"))
    created = svix.message.create("brought", message)
    assert svix.application.get("brought").name == "Brought"
    assert svix.message.get("brought", created.id).id == created.id
