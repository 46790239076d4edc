"""Lists and counts of messages and attempts, as the official SDK walks them: filters, both directions, statuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from svix.api import (
    EndpointGetAttemptStatsOptions,
    EndpointGetStatsOptions,
    EndpointPatch,
    MessageAttemptGetOptions,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageIn,
    MessageListOptions,
)
from svix.exceptions import HttpError, HTTPValidationError

from hookline.model.ids import MESSAGE, id_at
from integration.svix.driven import Driven, Inbox, wait_for
from support.server import Tenant

HOUR = timedelta(hours=1)


def send(svix: Driven, app_id: str, **fields: Any) -> Any:
    return svix.message.create(app_id, MessageIn(**{"event_type": "a.b", "payload": {"n": 1}, **fields}))


def settled(svix: Driven, app_id: str, endpoint_id: str, count: int) -> None:
    """Wait until so many deliveries have come to an end."""
    wait_for(
        lambda: svix.endpoint.get_stats(app_id, endpoint_id),
        lambda stats: stats.success + stats.fail + stats.canceled >= count,
    )


def attempted(svix: Driven, app_id: str, endpoint_id: str, **options: Any) -> Any:
    chosen = MessageAttemptListAttemptedMessagesOptions(**options)
    return svix.message_attempt.list_attempted_messages(app_id, endpoint_id, chosen)


def test_attempted_messages(svix: Driven, app_id: str, inbox: Inbox) -> None:
    good, bad = inbox.subscribe(app_id, uid="good"), inbox.subscribe(app_id, status=500)
    first = send(svix, app_id, event_type="a.one", channels=["eu"], tags=["blue"])
    second = send(svix, app_id, event_type="a.two", event_id="evt")
    settled(svix, app_id, good.id, 2)
    settled(svix, app_id, bad.id, 2)
    page = attempted(svix, app_id, "good", with_content=True)
    assert [(row.id, row.status, row.status_text) for row in page.data] == [
        (second.id, 0, "success"),
        (first.id, 0, "success"),
    ]
    assert (page.done, page.data[0].event_id, page.data[0].payload, page.data[0].next_attempt) == (
        True,
        "evt",
        {"n": 1},
        None,
    )
    assert [row.status_text for row in attempted(svix, app_id, bad.id).data] == ["fail", "fail"]
    assert attempted(svix, app_id, "good").data[0].payload == {}

    def found(**options: Any) -> list[str]:
        return [row.id for row in attempted(svix, app_id, "good", **options).data]

    now = datetime.now(UTC)
    assert found(channel="eu") == found(tag="blue") == found(event_types=["a.one"]) == [first.id]
    assert found(status=0) == found(before=now + HOUR, after=now - HOUR) == [second.id, first.id]
    assert found(status=2) == found(before=now - HOUR) == found(after=now + HOUR) == found(tag="no,tag") == []
    assert [row.id for row in attempted(svix, app_id, bad.id, status=2, limit=1).data] == [second.id]
    with pytest.raises(HttpError) as error:
        attempted(svix, app_id, "nobody", tag="no,tag")
    assert error.value.status_code == 404


def test_what_waits_is_pending_and_what_is_tried_is_sending(
    svix: Driven, app_id: str, inbox: Inbox, tenant: Tenant
) -> None:
    policy = {"policy": {"scheduleS": [3600.0], "jitter": 0.0}}
    endpoint = inbox.subscribe(app_id, status=500)
    tenant.http.patch(f"/app/{app_id}/endpoint/{endpoint.id}", json=policy).raise_for_status()
    tried = send(svix, app_id)
    wait_for(lambda: attempted(svix, app_id, endpoint.id, status=3).data, lambda rows: rows and rows[0].next_attempt)
    later = send(svix, app_id, deliver_at=datetime.now(UTC) + HOUR)
    assert later.deliver_at is not None
    [waiting] = attempted(svix, app_id, endpoint.id, status=1).data
    assert (waiting.id, waiting.status_text, waiting.next_attempt) == (later.id, "pending", later.deliver_at)
    assert [row.id for row in attempted(svix, app_id, endpoint.id, status=3).data] == [tried.id]

    def attempts(status: int) -> list[tuple[str, int, str]]:
        options = MessageAttemptListByEndpointOptions(status=status)
        rows = svix.message_attempt.list_by_endpoint(app_id, endpoint.id, options).data
        of_message = MessageAttemptListByMsgOptions(status=status)
        assert svix.message_attempt.list_by_msg(app_id, tried.id, of_message).data == rows
        return [(row.msg_id, row.status, row.status_text) for row in rows]

    assert (attempts(3), attempts(1)) == ([(tried.id, 3, "sending")], [])
    assert attempts(2) == [(tried.id, 2, "fail")]
    stats = svix.endpoint.get_stats(app_id, endpoint.id)
    assert (stats.success, stats.pending, stats.sending, stats.fail, stats.canceled) == (0, 1, 1, 0, 0)
    svix.endpoint.patch(app_id, endpoint.id, EndpointPatch(disabled=True))
    assert (attempts(3), attempts(1)) == ([], [(tried.id, 1, "pending")])
    assert {row.status_text for row in attempted(svix, app_id, endpoint.id).data} == {"pending"}
    assert svix.endpoint.get_stats(app_id, endpoint.id).pending == 2


def test_canceled_ones_for_clients_that_do_not_know_of_them(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    message = send(svix, app_id, deliver_at=datetime.now(UTC) + HOUR)
    svix.message.expunge_content(app_id, message.id)

    def shown(expanded: bool) -> set[tuple[int, str]]:
        by_message = MessageAttemptListByMsgOptions(expanded_statuses=expanded)
        by_endpoint = MessageAttemptListByEndpointOptions(expanded_statuses=expanded)
        [one] = svix.message_attempt.list_by_msg(app_id, message.id, by_message).data
        [two] = svix.message_attempt.list_by_endpoint(app_id, endpoint.id, by_endpoint).data
        three = svix.message_attempt.get(
            app_id, message.id, one.id, MessageAttemptGetOptions(expanded_statuses=expanded)
        )
        return {(each.status, each.status_text) for each in (one, two, three)}

    assert shown(True) == {(4, "canceled")}
    assert shown(False) == {(0, "success")}
    assert [row.status for row in attempted(svix, app_id, endpoint.id, status=4).data] == [4]
    assert svix.endpoint.get_stats(app_id, endpoint.id).canceled == 1


Pages = Callable[..., Any]


def walk_both_ways(read: Pages, expected: list[str]) -> None:
    """Forth to the end, then back to the beginning, two at a time."""
    seen, pages, iterator = [], [], None
    while True:
        page = read(limit=2, iterator=iterator)
        pages.append(page)
        seen += [row.id for row in page.data]
        if page.done:
            break
        iterator = page.iterator
    assert seen == expected
    back = [row.id for row in pages[-1].data]
    page = pages[-1]
    while len(back) < len(expected):
        page = read(limit=2, iterator=page.prev_iterator)
        back = [row.id for row in page.data] + back
        following = read(limit=2, iterator=page.iterator)
        position = expected.index(page.data[-1].id) + 1
        assert [row.id for row in following.data] == expected[position : position + 2]
    assert back == expected
    assert page.done


def test_lists_go_in_both_directions(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    made = [send(svix, app_id, tags=["t"]).id for _ in range(5)][::-1]
    settled(svix, app_id, endpoint.id, 5)
    message, attempt = svix.message, svix.message_attempt
    walk_both_ways(lambda **o: message.list(app_id, MessageListOptions(**o)), made)
    walk_both_ways(lambda **o: message.list(app_id, MessageListOptions(tag="t", **o)), made)
    walk_both_ways(lambda **o: attempted(svix, app_id, endpoint.id, **o), made)
    walk_both_ways(lambda **o: attempted(svix, app_id, endpoint.id, status=0, **o), made)
    options = MessageAttemptListByEndpointOptions
    attempts = [row.id for row in attempt.list_by_endpoint(app_id, endpoint.id).data]
    assert len(attempts) == 5
    walk_both_ways(lambda **o: attempt.list_by_endpoint(app_id, endpoint.id, options(**o)), attempts)
    walk_both_ways(lambda **o: attempt.list_by_endpoint(app_id, endpoint.id, options(status=0, **o)), attempts)
    with_tag = lambda **o: attempt.list_by_endpoint(app_id, endpoint.id, options(tag="t", **o))  # noqa: E731
    walk_both_ways(with_tag, attempts)


def test_lists_reach_90_days_back(svix: Driven, app_id: str) -> None:
    """From now, or from where the caller is; whoever names a time gets what they name."""
    message = send(svix, app_id)

    def found(at: datetime, **options: Any) -> list[str]:
        iterator = id_at(MESSAGE, round(at.timestamp() * 1000))
        return [row.id for row in svix.message.list(app_id, MessageListOptions(iterator=iterator, **options)).data]

    now, days = datetime.now(UTC), timedelta(days=1)
    assert found(now + 89 * days) == [message.id]
    assert found(now + 91 * days) == []
    assert found(now + 91 * days, after=now - HOUR) == [message.id]
    assert [row.id for row in svix.message.list(app_id, MessageListOptions(before=now + 89 * days)).data] == [
        message.id
    ]
    assert svix.message.list(app_id, MessageListOptions(before=now + 91 * days)).data == []


def test_deprecated_routes(svix: Driven, app_id: str, inbox: Inbox, tenant: Tenant) -> None:
    one, two = inbox.subscribe(app_id, uid="one"), inbox.subscribe(app_id)
    message = send(svix, app_id)
    settled(svix, app_id, one.id, 1)
    settled(svix, app_id, two.id, 1)

    def read(path: str) -> Any:
        return tenant.http.get(f"/app/{app_id}/{path}").raise_for_status().json()

    assert read(f"msg/{message.id}/attempt") == read(f"attempt/msg/{message.id}")
    of_one = read(f"msg/{message.id}/endpoint/one/attempt")
    assert of_one == read(f"attempt/msg/{message.id}?endpoint_id=one")
    assert [row["endpointId"] for row in of_one["data"]] == [one.id]
    for path in ("msg/msg_none/attempt", "msg/msg_none/endpoint/one/attempt", f"msg/{message.id}/endpoint/x/attempt"):
        assert tenant.http.get(f"/app/{app_id}/{path}").status_code == 404


def test_counts(svix: Driven, app_id: str, inbox: Inbox) -> None:
    good, bad = inbox.subscribe(app_id), inbox.subscribe(app_id, status=500)
    for _ in range(2):
        send(svix, app_id)
    settled(svix, app_id, good.id, 2)
    settled(svix, app_id, bad.id, 2)
    stats = svix.endpoint.get_stats(app_id, bad.id)
    assert (stats.success, stats.pending, stats.sending, stats.fail, stats.canceled) == (0, 0, 0, 2, 0)
    attempts = svix.endpoint.get_attempt_stats(app_id, bad.id)
    assert (attempts.success, attempts.fail, attempts.canceled) == (0, 6, 0)
    assert svix.endpoint.get_attempt_stats(app_id, good.id).success == 2
    now = datetime.now(UTC)
    before = {"since": now - 30 * HOUR, "until": now - 5 * HOUR}
    assert svix.endpoint.get_stats(app_id, good.id, EndpointGetStatsOptions(**before)).success == 0
    assert svix.endpoint.get_attempt_stats(app_id, good.id, EndpointGetAttemptStatsOptions(**before)).success == 0
    month = EndpointGetStatsOptions(since=now - timedelta(days=28))
    assert svix.endpoint.get_stats(app_id, good.id, month).success == 2
    for period in ({"since": now - timedelta(days=29)}, {"since": now, "until": now - HOUR}):
        with pytest.raises(HTTPValidationError) as error:
            svix.endpoint.get_stats(app_id, good.id, EndpointGetStatsOptions(**period))
        assert error.value.detail[0].loc == ["query", "since"]
