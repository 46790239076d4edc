"""Tasks in the store: one node at a time, steps with their effects in one transaction, ends and pages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.model import Kind, Task, TaskState
from hookline.model.ids import TASK
from hookline.store import OrgScope, Page, Store
from hookline.store.tasks import (
    ClaimedTask,
    Expunge,
    Replay,
    TaskFilter,
    TaskLease,
    TaskLimitError,
    TaskLostError,
    TaskStep,
)
from support.store import HOUR, NOW, ORG, World, new_id

KINDS = ["some.kind"]
LEASE_S = 60.0


def new_task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": new_id(TASK),
        "org_id": ORG,
        "app_id": None,
        "kind": "some.kind",
        "parameters": {"since": 1, "text": "ä\"'"},
        "created_at_ms": NOW,
        "updated_at_ms": NOW,
        "due_at_ms": NOW,
    }
    return Task(**fields | changes)


async def create(store: Store, **changes: Any) -> Task:
    return await store.create_task(new_task(**changes), most_open=100)


async def claim(store: Store, node: str = "node_a", *, limit: int = 10, now_ms: int = NOW) -> list[ClaimedTask]:
    return await store.claim_tasks(node, KINDS, LEASE_S, now_ms, limit)


async def test_a_task_is_kept_as_it_was_made_and_its_organization_alone_sees_it(store: Store) -> None:
    made = await create(store, app_id="app_x")
    assert await store.get_task(OrgScope(ORG), made.id) == made
    assert await store.get_task(OrgScope("org_other"), made.id) is None
    assert await store.request_cancel(OrgScope("org_other"), made.id, NOW) is None
    assert (await store.list_tasks(OrgScope("org_other"), Page(), TaskFilter())).rows == []


async def test_each_due_task_is_claimed_once_longest_due_first(store: Store) -> None:
    late = await create(store, due_at_ms=NOW)
    early = await create(store, due_at_ms=NOW - 5)
    await create(store, due_at_ms=NOW + 1)
    await create(store, kind="other.kind", due_at_ms=NOW - 9)
    claimed = await claim(store, "node_a", limit=1)
    assert [one.task.id for one in claimed] == [early.id]
    assert claimed[0].task == msgspec.structs.replace(early, state=TaskState.RUNNING)
    assert [one.task.id for one in await claim(store, "node_b")] == [late.id]
    assert await claim(store, "node_c") == []


async def test_steps_are_written_with_their_cursor_until_the_end(store: Store) -> None:
    made = await create(store)
    (claimed,) = await claim(store)
    task = await store.advance_task(
        claimed.lease, TaskStep({"after": "x"}, done=3, total=10, result={"a": [1, None]}), NOW + 1
    )
    assert (task.cursor, task.done, task.total, task.result) == ({"after": "x"}, 3, 10, {"a": [1, None]})
    assert (task.state, task.updated_at_ms, task.finished_at_ms) == (TaskState.RUNNING, NOW + 1, None)
    ended = await store.advance_task(claimed.lease, TaskStep(None, done=10, state=TaskState.FINISHED), NOW + 2)
    assert (ended.state, ended.finished_at_ms, ended.is_open) == (TaskState.FINISHED, NOW + 2, False)
    assert await store.get_task(OrgScope(ORG), made.id) == ended
    with pytest.raises(TaskLostError):
        await store.advance_task(claimed.lease, TaskStep(None), NOW + 3)
    assert await claim(store, now_ms=NOW + HOUR) == []


async def test_a_step_that_gives_back_lets_others_go_on_from_its_cursor(store: Store) -> None:
    await create(store)
    (claimed,) = await claim(store)
    step = TaskStep({"n": 1}, state=TaskState.QUEUED, error="busy", attempts=2, due_at_ms=NOW + 50)
    await store.advance_task(claimed.lease, step, NOW)
    assert await claim(store, "node_b") == []
    (again,) = await claim(store, "node_b", now_ms=NOW + 50)
    assert (again.task.cursor, again.task.error, again.task.attempts) == ({"n": 1}, "busy", 2)
    with pytest.raises(TaskLostError):
        await store.advance_task(claimed.lease, TaskStep({"n": 9}), NOW)


async def test_a_task_whose_lease_ended_is_taken_over_and_counted(store: Store) -> None:
    await create(store)
    (first,) = await claim(store, "node_a")
    await store.advance_task(first.lease, TaskStep({"n": 1}), NOW)
    assert await store.renew_tasks([first.lease], LEASE_S) == {first.task.id: False}
    assert await claim(store, "node_b") == []
    assert await store.renew_tasks([first.lease], -1.0) == {first.task.id: False}
    (second,) = await claim(store, "node_b")
    assert (second.task.cursor, second.task.attempts) == ({"n": 1}, 1)
    assert second.lease.epoch > first.lease.epoch
    assert await store.renew_tasks([first.lease, second.lease], LEASE_S) == {first.task.id: False}
    with pytest.raises(TaskLostError):
        await store.advance_task(first.lease, TaskStep({"n": 2}), NOW)
    await store.advance_task(second.lease, TaskStep({"n": 2}), NOW)


async def test_a_lost_step_does_nothing_at_all(world: World) -> None:
    endpoint = await world.endpoint()
    (message,) = await world.accept()
    await create(world.store)
    (claimed,) = await claim(world.store)
    effect = Replay(world.scope, endpoint.id, Kind.SCHEDULED, [message.id])
    stale = TaskLease(claimed.task.id, claimed.lease.epoch - 1)
    with pytest.raises(TaskLostError):
        await world.store.advance_task(stale, TaskStep({"n": 1}, effect=effect), NOW)
    assert await world.lease(endpoint.id) == []


async def test_cancel_ends_what_nobody_works_on_and_tells_who_does(store: Store) -> None:
    queued, running, stranded = await create(store), await create(store), await create(store)
    scope = OrgScope(ORG)
    ended = await store.request_cancel(scope, queued.id, NOW + 1)
    assert ended is not None
    assert (ended.state, ended.finished_at_ms) == (TaskState.CANCELED, NOW + 1)
    one, two = await claim(store)
    assert {one.task.id, two.task.id} == {running.id, stranded.id}
    leases = {claimed.task.id: claimed.lease for claimed in (one, two)}
    await store.renew_tasks([leases[stranded.id]], -1.0)
    told = await store.request_cancel(scope, running.id, NOW + 1)
    gone = await store.request_cancel(scope, stranded.id, NOW + 1)
    assert told is not None
    assert gone is not None
    assert (told.state, told.cancel_requested) == (TaskState.RUNNING, True)
    assert gone.state is TaskState.CANCELED
    assert await store.renew_tasks(list(leases.values()), LEASE_S) == {running.id: True}
    with pytest.raises(TaskLostError):
        await store.advance_task(leases[stranded.id], TaskStep(None), NOW)
    task = await store.advance_task(leases[running.id], TaskStep(None), NOW)
    assert task.cancel_requested
    await store.advance_task(leases[running.id], TaskStep(None, state=TaskState.FINISHED), NOW)
    finished = await store.request_cancel(scope, running.id, NOW + 9)
    assert finished is not None
    assert finished.state is TaskState.FINISHED


async def test_an_application_has_a_bounded_number_of_open_tasks(store: Store) -> None:
    for _ in range(2):
        await store.create_task(new_task(app_id="app_a"), most_open=2)
    with pytest.raises(TaskLimitError):
        await store.create_task(new_task(app_id="app_a"), most_open=2)
    await store.create_task(new_task(app_id="app_b"), most_open=2)
    await store.create_task(new_task(), most_open=1)
    with pytest.raises(TaskLimitError):
        await store.create_task(new_task(), most_open=1)
    (claimed, *_) = await claim(store, limit=1)
    await store.advance_task(claimed.lease, TaskStep(None, state=TaskState.FAILED, error="no"), NOW)
    await store.create_task(new_task(app_id=claimed.task.app_id), most_open=2)


async def test_lists_go_both_ways_and_filter(store: Store) -> None:
    tasks = [await create(store, app_id="app_a" if index % 2 else None) for index in range(5)]
    ids = [task.id for task in tasks]
    scope = OrgScope(ORG)
    first = await store.list_tasks(scope, Page(2), TaskFilter())
    assert ([task.id for task in first.rows], first.done) == ([ids[4], ids[3]], False)
    then = await store.list_tasks(scope, Page(3, after=ids[3]), TaskFilter())
    assert ([task.id for task in then.rows], then.done) == ([ids[2], ids[1], ids[0]], True)
    back = await store.list_tasks(scope, Page(2, before=ids[2], ascending=True), TaskFilter())
    assert [task.id for task in back.rows] == [ids[0], ids[1]]
    of_app = await store.list_tasks(scope, Page(), TaskFilter(app_id="app_a"))
    assert [task.id for task in of_app.rows] == [ids[3], ids[1]]
    await store.request_cancel(scope, ids[1], NOW)
    ended = TaskFilter(states=(TaskState.FAILED, TaskState.CANCELED))
    assert [task.id for task in (await store.list_tasks(scope, Page(), ended)).rows] == [ids[1]]
    both = msgspec.structs.replace(ended, app_id="app_a", kind="some.kind")
    assert [task.id for task in (await store.list_tasks(scope, Page(), both)).rows] == [ids[1]]
    none = TaskFilter(kind="other.kind")
    assert (await store.list_tasks(scope, Page(), none)).rows == []


async def test_old_ends_are_pruned_and_open_tasks_stay(world: World) -> None:
    store = world.store
    old, fresh, still_open = await create(store), await create(store), await create(store)
    orphan = await create(store, app_id=world.app.id)
    scope = OrgScope(ORG)
    await store.request_cancel(scope, old.id, NOW - HOUR)
    await store.request_cancel(scope, fresh.id, NOW)
    await store.request_cancel(scope, orphan.id, NOW)
    assert await store.prune_tasks(NOW - 1, 10) == 1
    await store.delete_application(world.scope, NOW)
    assert await store.prune_tasks(NOW - 1, 10) == 1
    left = await store.list_tasks(scope, Page(ascending=True), TaskFilter())
    assert [task.id for task in left.rows] == [fresh.id, still_open.id]


async def test_what_was_made_wakes_whoever_listens(store: Store) -> None:
    import asyncio

    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    store.subscribe(lambda topic, subject: heard.put_nowait((topic, subject)))
    task = await create(store)
    async with asyncio.timeout(10):
        while await heard.get() != ("task", task.id):
            pass


class TestEffects:
    async def run_effect(self, world: World, effect: Replay | Expunge) -> Task:
        await create(world.store)
        (claimed,) = await claim(world.store)
        step = TaskStep(None, effect=effect, state=TaskState.FINISHED)
        return await world.store.advance_task(claimed.lease, step, world.now_ms)

    async def test_a_replay_is_owed_at_once_and_once(self, world: World) -> None:
        endpoint = await world.endpoint()
        messages = await world.accept(count=3)
        effect = Replay(world.scope, endpoint.id, Kind.SCHEDULED, [message.id for message in messages])
        assert (await self.run_effect(world, effect)).affected == 3
        assert (await self.run_effect(world, effect)).affected == 0
        assert await world.due() == [endpoint.id]
        claimed = await world.lease(endpoint.id)
        assert [(one.message.id, one.kind, one.attempts) for one in claimed] == [
            (message.id, Kind.SCHEDULED, 0) for message in messages
        ]

    async def test_nothing_is_owed_to_other_tenants_deleted_endpoints_or_of_others_messages(self, world: World) -> None:
        endpoint, deleted = await world.endpoint(), await world.endpoint()
        await world.store.delete_endpoint(world.scope, deleted.id, NOW)
        (message,) = await world.accept()
        other = await World(world.store).build()
        theirs = await other.endpoint()
        for scope, endpoint_id in (
            (world.scope, deleted.id),
            (world.scope, theirs.id),
            (other.scope, theirs.id),
            (msgspec.structs.replace(world.scope, org_id="org_other"), endpoint.id),
        ):
            effect = Replay(scope, endpoint_id, Kind.MANUAL, [message.id])
            assert (await self.run_effect(world, effect)).affected == 0

    async def test_expunge_empties_and_ends_what_is_owed(self, world: World) -> None:
        endpoint, never = await world.endpoint(), await world.endpoint()
        (waiting,) = await world.free(endpoint.id)
        (other,) = await world.free(endpoint.id)
        await self.run_effect(world, Replay(world.scope, never.id, Kind.SCHEDULED, [waiting.id]))
        task = await self.run_effect(world, Expunge(world.scope, [waiting.id, "msg_unknown"]))
        assert task.affected == 1
        assert (await self.run_effect(world, Expunge(world.scope, [waiting.id]))).affected == 0
        found = await world.store.get_message(world.scope, waiting.id)
        assert found is not None
        assert (found.payload, found.payload_expired) == (b"", True)
        assert [one.message.id for one in await world.lease(endpoint.id)] == [other.id]
        assert await world.lease(never.id) == []
        expired = Replay(world.scope, endpoint.id, Kind.MANUAL, [waiting.id])
        assert (await self.run_effect(world, expired)).affected == 0
