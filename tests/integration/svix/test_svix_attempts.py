"""Attempts, as the official SDK sees them."""

from __future__ import annotations

from typing import Any

from svix.api import (
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageIn,
)
from svix.models import MessageStatus

from integration.svix.driven import Driven, Inbox, wait_for

MESSAGE = MessageIn(event_type="invoice.paid", payload={"amount": 12}, event_id="evt", channels=["eu"])


def recorded(svix: Driven, app_id: str, message_id: str, count: int) -> list[Any]:
    """Wait until this many attempts of the message are there."""
    options = MessageAttemptListByMsgOptions(with_content=True)
    page = wait_for(
        lambda: svix.message_attempt.list_by_msg(app_id, message_id, options), lambda page: len(page.data) >= count
    )
    assert (len(page.data), page.done) == (count, True)
    return page.data


def test_lists_and_single_one(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id, uid="main")
    message = svix.message.create(app_id, MESSAGE)
    inbox.next()
    attempt = recorded(svix, app_id, message.id, 1)[0]
    assert attempt.id.startswith("atmpt_")
    assert (attempt.status, attempt.status_text, attempt.trigger_type) == (0, "success", 0)
    assert (attempt.msg_id, attempt.endpoint_id) == (message.id, endpoint.id)
    assert (attempt.response_status_code, attempt.response, attempt.url) == (200, "thanks", endpoint.url)
    assert svix.message_attempt.get(app_id, message.id, attempt.id) == attempt

    def by_endpoint(**options: Any) -> list[Any]:
        chosen = MessageAttemptListByEndpointOptions(**options)
        return svix.message_attempt.list_by_endpoint(app_id, "main", chosen).data

    [with_message] = by_endpoint(with_msg=True, with_content=True)
    assert with_message.msg.payload == {"amount": 12}
    assert by_endpoint(with_content=False)[0].response == "{}"
    assert [found.id for found in by_endpoint(status=0, status_code_class=200)] == [attempt.id]
    assert by_endpoint(status=2) == by_endpoint(status=1) == by_endpoint(status_code_class=500) == []
    assert [found.id for found in by_endpoint(channel="eu", event_types=["invoice.paid"])] == [attempt.id]
    assert by_endpoint(channel="us") == by_endpoint(event_types=["other"]) == by_endpoint(tag="x") == []
    by_message = svix.message_attempt.list_by_msg(app_id, "evt", MessageAttemptListByMsgOptions(endpoint_id="main"))
    assert [found.id for found in by_message.data] == [attempt.id]

    destinations = svix.message_attempt.list_attempted_destinations(app_id, message.id)
    assert [(found.id, found.status, found.status_text) for found in destinations.data] == [(endpoint.id, 0, "success")]


def test_messages_of_an_endpoint(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id, uid="main")
    tagged = MessageIn(event_type="invoice.paid", payload={"amount": 1}, tags=["red"])
    sent = [svix.message.create(app_id, message).id for message in (MESSAGE, tagged)]
    for message_id in sent:
        inbox.next()
        recorded(svix, app_id, message_id, 1)

    def found(**options: Any) -> list[Any]:
        chosen = MessageAttemptListAttemptedMessagesOptions(**options)
        return svix.message_attempt.list_attempted_messages(app_id, "main", chosen).data

    everything = found(with_content=True)
    assert [(one.id, one.status, one.status_text) for one in everything] == [
        (sent[1], MessageStatus.SUCCESS, "success"),
        (sent[0], MessageStatus.SUCCESS, "success"),
    ]
    assert (everything[0].payload, everything[0].tags, everything[1].event_id) == ({"amount": 1}, ["red"], "evt")
    assert found()[0].payload == {}
    assert [one.id for one in found(tag="red", status=MessageStatus.SUCCESS)] == [sent[1]]
    assert [one.id for one in found(channel="eu", event_types=["invoice.paid"])] == [sent[0]]
    assert found(status=MessageStatus.FAIL) == []
    first = svix.message_attempt.list_attempted_messages(
        app_id, endpoint.id, MessageAttemptListAttemptedMessagesOptions(limit=1)
    )
    assert (first.data[0].id, first.done) == (sent[1], False)
    assert [one.id for one in found(limit=1, iterator=first.iterator)] == [sent[0]]


def test_resend(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    message = svix.message.create(app_id, MESSAGE)
    first = inbox.next()
    svix.message_attempt.resend(app_id, message.id, endpoint.id)
    second = inbox.next()
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    attempts = recorded(svix, app_id, message.id, 2)
    assert [attempt.trigger_type for attempt in attempts] == [1, 0]


def test_forget_an_answer(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    message = svix.message.create(app_id, MESSAGE)
    inbox.next()
    attempt = recorded(svix, app_id, message.id, 1)[0]
    svix.message_attempt.expunge_content(app_id, message.id, attempt.id)
    assert svix.message_attempt.get(app_id, message.id, attempt.id).response == "EXPUNGED"


def test_failures_are_retried_and_recorded(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id, status=500)
    message = svix.message.create(app_id, MESSAGE)
    for _ in range(3):
        inbox.next()
    attempts = recorded(svix, app_id, message.id, 3)
    assert [(attempt.status_text, attempt.response_status_code) for attempt in attempts] == [("fail", 500)] * 3
    destinations = svix.message_attempt.list_attempted_destinations(app_id, message.id)
    assert [found.status_text for found in destinations.data] == ["fail"]
