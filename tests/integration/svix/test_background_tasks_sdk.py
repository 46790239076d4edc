"""Recovery, statistics and background tasks, as the official SDK sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from svix.api import (
    ApplicationIn,
    BackgroundTaskListOptions,
    BulkReplayIn,
    EndpointPatch,
    MessageAttemptListByEndpointOptions,
    MessageIn,
    RecoverIn,
    ReplayIn,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import AppUsageStatsIn, BackgroundTaskStatus, BackgroundTaskType, MessageStatus, Ordering

from integration.svix.conftest import Connect
from integration.svix.driven import Driven, Inbox, wait_for
from support.server import Tenant

LONG_AGO = timedelta(hours=1)


def since() -> datetime:
    return datetime.now(UTC) - LONG_AGO


def send(svix: Driven, app_id: str, count: int = 1, **fields: Any) -> list[str]:
    message = MessageIn(**{"event_type": "invoice.paid", "payload": {"amount": 12}, **fields})
    return [svix.message.create(app_id, message).id for _ in range(count)]


def finish(svix: Driven, task: Any) -> Any:
    """Wait for the end of a task that was just asked for."""
    assert task.id.startswith("qtask_")
    return wait_for(
        lambda: svix.background_task.get(task.id), lambda found: found.status is not BackgroundTaskStatus.RUNNING
    )


def settled(svix: Driven, app_id: str, endpoint_id: str, status: int, count: int) -> None:
    """Wait until so many attempts were recorded."""
    options = MessageAttemptListByEndpointOptions(status=MessageStatus(status), limit=250)
    wait_for(
        lambda: svix.message_attempt.list_by_endpoint(app_id, endpoint_id, options).data,
        lambda found: len(found) >= count,
    )


def arrive(inbox: Inbox, count: int) -> list[str]:
    return sorted(inbox.next().headers["webhook-id"] for _ in range(count))


def test_recover(svix: Driven, app_id: str, inbox: Inbox) -> None:
    failing = inbox.subscribe(app_id, 500)
    failed = send(svix, app_id, 3)
    attempts = arrive(inbox, 9)  # each three times, then it is exhausted
    assert attempts == sorted(failed * 3)
    settled(svix, app_id, failing.id, 2, 9)
    svix.endpoint.patch(app_id, failing.id, EndpointPatch(url=inbox.now_answering(failing, 200)))
    started = svix.endpoint.recover(app_id, failing.id, RecoverIn(since=since()))
    assert started.task is BackgroundTaskType.ENDPOINT_RECOVER
    assert started.status is BackgroundTaskStatus.RUNNING
    task = finish(svix, started)
    assert (task.status, task.data) == (
        BackgroundTaskStatus.FINISHED,
        {"endpointId": failing.id, "messages": 3},
    )
    assert arrive(inbox, 3) == sorted(failed)
    settled(svix, app_id, failing.id, 0, 3)
    again = finish(svix, svix.endpoint.recover(app_id, failing.id, RecoverIn(since=since(), until=datetime.now(UTC))))
    assert again.data["messages"] == 0
    assert inbox.is_empty()


def test_replay_missing(svix: Driven, app_id: str, inbox: Inbox) -> None:
    send(svix, app_id, event_type="other.type")
    missed = send(svix, app_id, 2)
    late = inbox.subscribe(app_id, event_types=["invoice.*"])
    fresh = send(svix, app_id)
    assert arrive(inbox, 1) == fresh
    started = svix.endpoint.replay_missing(app_id, late.id, ReplayIn(since=since()))
    assert started.task is BackgroundTaskType.ENDPOINT_REPLAY
    assert finish(svix, started).data["messages"] == 2
    assert arrive(inbox, 2) == sorted(missed)
    destinations = svix.message_attempt.list_attempted_destinations(app_id, missed[0])
    assert [found.id for found in destinations.data] == [late.id]
    settled(svix, app_id, late.id, 0, 3)
    again = finish(svix, svix.endpoint.replay_missing(app_id, late.id, ReplayIn(since=since())))
    assert again.data["messages"] == 0


def test_bulk_replay(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    wanted = send(svix, app_id, channels=["eu"], tags=["big"])
    send(svix, app_id, event_type="other.type", channels=["eu"], tags=["big"])
    send(svix, app_id)
    arrive(inbox, 3)
    settled(svix, app_id, endpoint.id, 0, 3)
    form = {"event_types": ["invoice.paid"], "channel": "eu", "tag": "big", "status": MessageStatus.SUCCESS}
    started = svix.endpoint.bulk_replay(app_id, endpoint.id, BulkReplayIn(since=since(), **form))
    assert started.task is BackgroundTaskType.ENDPOINT_BULK_REPLAY
    assert finish(svix, started).data["messages"] == 1
    assert arrive(inbox, 1) == wanted
    for nothing in ({"status": MessageStatus.FAIL}, {"status_code_class": 500}, {"tag": "small"}, {"channel": "us"}):
        task = svix.endpoint.bulk_replay(app_id, endpoint.id, BulkReplayIn(since=since(), **nothing))
        assert finish(svix, task).data["messages"] == 0
    task = svix.endpoint.bulk_replay(app_id, endpoint.id, BulkReplayIn(since=since(), status_code_class=200))
    assert finish(svix, task).data["messages"] == 3
    arrive(inbox, 3)
    assert inbox.is_empty()


def test_expunge_all_contents(svix: Driven, app_id: str, tenant: Tenant, connect: Connect) -> None:
    ids = send(svix, app_id, 2)
    started = svix.message.expunge_all_contents(app_id)
    assert started.task is BackgroundTaskType.APPLICATION_PURGE_CONTENT
    assert finish(svix, started).data == {"messages": 2}
    assert svix.message.get(app_id, ids[0]).payload == {"expired": True}
    with pytest.raises(HttpError) as error:
        connect(tenant.app_token(app_id)).message.expunge_all_contents(app_id)
    assert error.value.status_code == 403


def test_statistics(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    empty = svix.application.create(ApplicationIn(name="Empty", uid="empty"))
    send(svix, app_id, 3)
    send(svix, empty.id, event_type="other.type")
    arrive(inbox, 3)
    settled(svix, app_id, endpoint.id, 0, 3)
    until = datetime.now(UTC) + LONG_AGO
    ask = AppUsageStatsIn(since=since(), until=until, app_ids=["customer", "nobody", empty.id])
    started = svix.statistics.aggregate_app_stats(ask)
    assert started.unresolved_app_ids == ["nobody"]
    rows = {row["appId"]: row for row in finish(svix, started).data["applications"]}
    assert rows[app_id] == {
        "appId": app_id, "appUid": "customer", "messages": 3, "attempts": 3, "succeeded": 3, "failed": 0, "canceled": 0,
    }  # fmt: skip
    assert (rows[empty.id]["messages"], rows[empty.id]["attempts"]) == (1, 0)
    everything = finish(svix, svix.statistics.aggregate_app_stats(AppUsageStatsIn(since=since(), until=until)))
    assert {row["appId"] for row in everything.data["applications"]} == {app_id, empty.id}
    types = finish(svix, svix.statistics.aggregate_event_types())
    assert types.data == {
        "eventTypes": [{"name": "invoice.paid", "messages": 3}, {"name": "other.type", "messages": 1}],
        "others": 0,
    }
    with pytest.raises(HTTPValidationError) as error:
        svix.statistics.aggregate_app_stats(AppUsageStatsIn(since=since(), until=until, app_ids=["nobody"]))
    assert error.value.detail[0].loc == ["body", "appIds"]


def test_lists_and_whose_tasks_are_seen(
    svix: Driven, app_id: str, inbox: Inbox, tenant: Tenant, neighbour: Tenant, connect: Connect
) -> None:
    endpoint = inbox.subscribe(app_id)
    other = svix.application.create(ApplicationIn(name="Other"))
    of_app = [svix.endpoint.recover(app_id, endpoint.id, RecoverIn(since=since())).id for _ in range(2)]
    of_other = svix.message.expunge_all_contents(other.id).id
    of_all = svix.statistics.aggregate_event_types().id
    every = [*of_app, of_other, of_all]
    for started in every:
        finish(svix, svix.background_task.get(started))

    def listed(client: Driven, **options: Any) -> list[str]:
        return [task.id for task in client.background_task.list(BackgroundTaskListOptions(**options)).data]

    assert listed(svix) == every[::-1]
    assert listed(svix, order=Ordering.ASCENDING) == every
    assert listed(svix, status=BackgroundTaskStatus.RUNNING) == []
    assert listed(svix, status=BackgroundTaskStatus.FINISHED, task=BackgroundTaskType.ENDPOINT_RECOVER) == of_app[::-1]
    first = svix.background_task.list(BackgroundTaskListOptions(limit=3))
    assert not first.done
    assert listed(svix, limit=3, iterator=first.iterator) == [every[0]]

    customer = connect(tenant.app_token(app_id))
    assert listed(customer) == of_app[::-1]
    assert customer.background_task.get(of_app[0]).id == of_app[0]
    stranger = connect(neighbour.token)
    assert listed(stranger) == []
    for client, unseen in ((customer, of_other), (customer, of_all), (stranger, of_app[0]), (svix, "qtask_none")):
        with pytest.raises(HttpError) as error:
            client.background_task.get(unseen)
        assert (error.value.status_code, error.value.code) == (404, "not_found")


def test_windows_that_make_no_sense(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    now = datetime.now(UTC)
    for window in ({"since": now + LONG_AGO}, {"since": now, "until": now}, {"since": now - timedelta(days=91)}):
        with pytest.raises(HTTPValidationError) as error:
            svix.endpoint.recover(app_id, endpoint.id, RecoverIn(**window))
        assert error.value.detail[0].loc == ["body", "since"]
    with pytest.raises(HttpError) as unknown:
        svix.endpoint.recover(app_id, "ep_unknown", RecoverIn(since=since()))
    assert unknown.value.status_code == 404
