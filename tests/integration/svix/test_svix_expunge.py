"""Removing payloads and answers, as the official SDK asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from svix.api import MessageAttemptListByMsgOptions, MessageGetOptions, MessageIn, MessageListOptions
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import BulkExpungeContentsIn

from integration.svix.conftest import Connect
from integration.svix.driven import Driven, Inbox, wait_for
from support.server import Tenant

CONTENT = MessageGetOptions(with_content=True)


def send(svix: Driven, app_id: str, **fields: Any) -> Any:
    return svix.message.create(app_id, MessageIn(event_type="a.b", payload={"secret": 42}, **fields))


def recorded(svix: Driven, app_id: str, message_id: str) -> list[Any]:
    options = MessageAttemptListByMsgOptions(with_content=True)
    return wait_for(lambda: svix.message_attempt.list_by_msg(app_id, message_id, options).data, lambda found: found)


def test_a_payload_goes_at_once(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    message = send(svix, app_id, event_id="evt")
    inbox.next()
    recorded(svix, app_id, message.id)
    svix.message.expunge_content(app_id, "evt")
    assert svix.message.get(app_id, message.id, CONTENT).payload == {"expired": True}
    assert svix.message.list(app_id, MessageListOptions(with_content=True)).data[0].payload == {"expired": True}
    with pytest.raises(HttpError) as error:
        svix.message_attempt.resend(app_id, message.id, endpoint.id)
    assert (error.value.status_code, error.value.code) == (400, "missing_payload")
    svix.message.expunge_content(app_id, message.id)


def test_many_at_once(svix: Driven, app_id: str) -> None:
    one, two, kept = send(svix, app_id), send(svix, app_id, event_id="evt"), send(svix, app_id)
    answer = svix.message.bulk_expunge_content(app_id, BulkExpungeContentsIn(ids=[one.id, "evt", "msg_none", one.id]))
    assert {name: str(status) for name, status in answer.results.items()} == {
        one.id: "expunged",
        "evt": "expunged",
        "msg_none": "not-found",
    }
    assert svix.message.get(app_id, two.id, CONTENT).payload == {"expired": True}
    assert svix.message.get(app_id, kept.id, CONTENT).payload == {"secret": 42}
    assert svix.message.bulk_expunge_content(app_id, BulkExpungeContentsIn()).results == {}
    with pytest.raises(HTTPValidationError) as error:
        svix.message.bulk_expunge_content(app_id, BulkExpungeContentsIn(ids=[f"e{n}" for n in range(1_001)]))
    assert error.value.detail[0].loc == ["body", "ids"]


def test_more_than_one_step_of_them(svix: Driven, app_id: str) -> None:
    made = [send(svix, app_id).id for _ in range(3)]
    names = [f"none-{number}" for number in range(120)] + made
    results = svix.message.bulk_expunge_content(app_id, BulkExpungeContentsIn(ids=names)).results
    assert [name for name, status in results.items() if str(status) == "expunged"] == made
    assert len(results) == 123


def test_an_answer_goes(svix: Driven, app_id: str, inbox: Inbox) -> None:
    inbox.subscribe(app_id)
    message = send(svix, app_id)
    inbox.next()
    [attempt] = recorded(svix, app_id, message.id)
    assert attempt.response == "thanks"
    svix.message_attempt.expunge_content(app_id, message.id, attempt.id)
    assert svix.message_attempt.get(app_id, message.id, attempt.id).response == "EXPUNGED"


def test_what_is_not_there(svix: Driven, app_id: str) -> None:
    message = send(svix, app_id)
    for ask in (
        lambda: svix.message.expunge_content(app_id, "msg_none"),
        lambda: svix.message_attempt.expunge_content(app_id, message.id, "atmpt_none"),
        lambda: svix.message_attempt.expunge_content(app_id, "msg_none", "atmpt_none"),
    ):
        with pytest.raises(HttpError) as error:
            ask()
        assert (error.value.status_code, error.value.code) == (404, "not_found")


def test_a_customer_may_not(svix: Driven, app_id: str, tenant: Tenant, connect: Connect) -> None:
    """What was sent to them is not theirs to remove."""
    message = send(svix, app_id)
    customer = connect(tenant.app_token(app_id))
    for ask in (
        lambda: customer.message.expunge_content(app_id, message.id),
        lambda: customer.message.bulk_expunge_content(app_id, BulkExpungeContentsIn(ids=[message.id])),
        lambda: customer.message_attempt.expunge_content(app_id, message.id, "atmpt_none"),
    ):
        with pytest.raises(HttpError) as error:
            ask()
        assert error.value.status_code == 403
    assert svix.message.get(app_id, message.id, CONTENT).payload == {"secret": 42}
