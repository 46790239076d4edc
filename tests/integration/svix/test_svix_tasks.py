"""What goes on in the background, as the official SDK sees it: recovery, replays, removal, statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from svix.api import (
    AppUsageStatsIn,
    BackgroundTaskListOptions,
    BulkReplayIn,
    EndpointPatch,
    MessageGetOptions,
    MessageIn,
    RecoverIn,
    ReplayIn,
)
from svix.exceptions import HttpError
from svix.models import BackgroundTaskStatus, BackgroundTaskType

from integration.svix.driven import Driven, Inbox, wait_for
from support.server import Receiver

MESSAGE = MessageIn(event_type="invoice.paid", payload={"amount": 12})
FINISHED = BackgroundTaskStatus.FINISHED


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def ended(svix: Driven, task: Any) -> Any:
    """Wait until a task has ended well."""
    assert task.id.startswith("qtask_")
    found = wait_for(
        lambda: svix.background_task.get(task.id), lambda found: found.status is not BackgroundTaskStatus.RUNNING
    )
    assert (found.id, found.status, found.task) == (task.id, FINISHED, task.task), found
    return found


def exhausted(svix: Driven, app_id: str, inbox: Inbox) -> Any:
    """An endpoint that failed a message three times, which is for good here; and the message."""
    endpoint = inbox.subscribe(app_id, status=500)
    message = svix.message.create(app_id, MESSAGE)
    for _ in range(3):
        inbox.next()
    wait_for(
        lambda: svix.message_attempt.list_attempted_destinations(app_id, message.id).data,
        lambda found: found[0].status_text == "fail",
    )
    return endpoint, message


def test_recover_what_failed(svix: Driven, app_id: str, inbox: Inbox, receiver: Receiver) -> None:
    endpoint, message = exhausted(svix, app_id, inbox)
    inbox.move(endpoint, 200)
    task = svix.endpoint.recover(app_id, endpoint.id, RecoverIn(since=an_hour_ago()))
    assert task.task is BackgroundTaskType.ENDPOINT_RECOVER
    ended(svix, task)
    assert inbox.next().headers["svix-id"] == message.id


def test_replay_what_is_missing(svix: Driven, app_id: str, inbox: Inbox) -> None:
    message = svix.message.create(app_id, MESSAGE)
    endpoint = inbox.subscribe(app_id)
    task = svix.endpoint.replay_missing(app_id, endpoint.id, ReplayIn(since=an_hour_ago()))
    assert task.task is BackgroundTaskType.ENDPOINT_REPLAY
    ended(svix, task)
    assert inbox.next().headers["svix-id"] == message.id


def test_replay_in_bulk(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    wanted = svix.message.create(app_id, MESSAGE)
    svix.message.create(app_id, MessageIn(event_type="other", payload={}))
    assert {inbox.next().headers["svix-id"] for _ in range(2)} > {wanted.id}
    wish = BulkReplayIn(since=an_hour_ago(), event_types=["invoice.paid"])
    task = svix.endpoint.bulk_replay(app_id, endpoint.id, wish)
    assert task.task is BackgroundTaskType.ENDPOINT_BULK_REPLAY
    ended(svix, task)
    assert (inbox.next().headers["svix-id"], inbox.is_empty()) == (wanted.id, True)


def test_remove_all_contents(svix: Driven, app_id: str) -> None:
    message = svix.message.create(app_id, MESSAGE)
    task = svix.message.expunge_all_contents(app_id)
    assert task.task is BackgroundTaskType.APPLICATION_PURGE_CONTENT
    ended(svix, task)
    assert svix.message.get(app_id, message.id, MessageGetOptions(with_content=True)).payload == {"expired": True}


def test_statistics(svix: Driven, app_id: str) -> None:
    svix.message.create(app_id, MESSAGE)
    wish = AppUsageStatsIn(since=an_hour_ago(), until=datetime.now(UTC), app_ids=["customer", "nobody"])
    usage = svix.statistics.aggregate_app_stats(wish)
    assert (usage.task, usage.unresolved_app_ids) == (BackgroundTaskType.APPLICATION_STATS, ["nobody"])
    ended(svix, usage)
    types = svix.statistics.aggregate_event_types()
    assert types.task is BackgroundTaskType.EVENT_TYPE_AGGREGATE
    assert ended(svix, types).data["eventTypes"] == [{"name": "invoice.paid", "messages": 1}]


def test_list_tasks(svix: Driven, app_id: str, inbox: Inbox) -> None:
    endpoint = inbox.subscribe(app_id)
    svix.endpoint.patch(app_id, endpoint.id, EndpointPatch(disabled=True))
    made = [svix.endpoint.recover(app_id, endpoint.id, RecoverIn(since=an_hour_ago())) for _ in range(2)]
    for task in made:
        ended(svix, task)
    wish = BackgroundTaskListOptions(task=BackgroundTaskType.ENDPOINT_RECOVER, status=FINISHED)
    assert [task.id for task in svix.background_task.list(wish).data] == [made[1].id, made[0].id]
    first = svix.background_task.list(BackgroundTaskListOptions(limit=1))
    rest = svix.background_task.list(BackgroundTaskListOptions(limit=1, iterator=first.iterator))
    assert [task.id for task in rest.data] == [made[0].id]
    wish = BackgroundTaskListOptions(task=BackgroundTaskType.ENDPOINT_REPLAY)
    assert svix.background_task.list(wish).data == []
    with pytest.raises(HttpError) as error:
        svix.background_task.get("qtask_" + "0" * 27)
    assert error.value.status_code == 404
