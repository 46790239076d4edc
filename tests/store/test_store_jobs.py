"""Jobs in the store: one node at a time, and each end with its event, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.model import ids
from hookline.model.jobs import RESPONSE, Job, JobState
from hookline.store import AppScope
from hookline.store.jobs import ClaimedJob, JobLimitError
from hookline.store.tasks import TaskLease, TaskLostError
from support.store import HOUR, NOW, World

LEASE_S = 60.0


def new_job(world: World, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": ids.new_id("resp"),
        "org_id": world.scope.org_id,
        "app_id": world.scope.app_id,
        "kind": RESPONSE,
        "request": b'{"input": "\xc3\xa4\\u0000"}',
        "created_at_ms": NOW,
        "due_at_ms": NOW,
    }
    return Job(**fields | changes)


async def create(world: World, **changes: Any) -> Job:
    return await world.store.create_job(new_job(world, **changes), most_open=100)


async def claim(world: World, node: str = "node_a", *, limit: int = 10, now_ms: int = NOW) -> list[ClaimedJob]:
    return await world.store.claim_jobs(node, [RESPONSE], LEASE_S, now_ms, limit)


async def announced(world: World) -> list[tuple[str, bytes, str | None]]:
    rows = await world.store.read_outbox(100)
    return [(row.event_type, row.payload, row.event_id) for row in rows if row.app == world.scope.app_id]


async def test_a_job_is_kept_as_it_was_made_and_its_application_alone_sees_it(world: World) -> None:
    made = await create(world)
    store, scope = world.store, world.scope
    assert await store.get_job(scope, RESPONSE, made.id) == made
    others = [AppScope(scope.org_id, "app_other"), AppScope("org_other", scope.app_id)]
    for other in others:
        assert await store.get_job(other, RESPONSE, made.id) is None
        assert await store.cancel_job(other, RESPONSE, made.id, NOW) is None
        assert not await store.delete_job(other, RESPONSE, made.id, NOW)
    assert await store.get_job(scope, "batch", made.id) is None
    assert await store.cancel_job(scope, "batch", made.id, NOW) is None
    assert await announced(world) == []
    assert await store.get_job(scope, RESPONSE, made.id) == made


async def test_each_due_job_is_claimed_once_longest_due_first(world: World) -> None:
    late, early = await create(world), await create(world, due_at_ms=NOW - 5)
    await create(world, due_at_ms=NOW + 1)
    await create(world, kind="batch", due_at_ms=NOW - 9)
    (first,) = await claim(world, limit=1)
    expected = msgspec.structs.replace(early, state=JobState.IN_PROGRESS, started_at_ms=NOW)
    assert first.job == expected
    assert [one.job.id for one in await claim(world, "node_b")] == [late.id]
    assert await claim(world, "node_c") == []


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.INCOMPLETE, JobState.FAILED])
async def test_an_end_is_written_with_its_event_once(world: World, state: JobState) -> None:
    made = await create(world)
    (claimed,) = await claim(world)
    ended = await world.store.end_job(claimed.lease, state, b'{"a": 1}', NOW + 9)
    assert (ended.state, ended.result, ended.ended_at_ms, ended.is_open) == (state, b'{"a": 1}', NOW + 9, False)
    assert await world.store.get_job(world.scope, RESPONSE, made.id) == ended
    with pytest.raises(TaskLostError):
        await world.store.end_job(claimed.lease, JobState.FAILED, None, NOW)
    assert await world.store.cancel_job(world.scope, RESPONSE, made.id, NOW + 10) == ended
    event = (f"response.{state.value}", f'{{"id":"{made.id}"}}'.encode(), f"end.{made.id}")
    assert await announced(world) == [event]
    assert await claim(world, now_ms=NOW + HOUR) == []


async def test_cancel_wins_over_whoever_works_on_it(world: World) -> None:
    made = await create(world)
    (claimed,) = await claim(world)
    ended = await world.store.cancel_job(world.scope, RESPONSE, made.id, NOW + 5)
    assert ended is not None
    assert (ended.state, ended.result, ended.ended_at_ms) == (JobState.CANCELLED, None, NOW + 5)
    assert await world.store.renew_jobs([claimed.lease], LEASE_S) == set()
    with pytest.raises(TaskLostError):
        await world.store.end_job(claimed.lease, JobState.COMPLETED, b"{}", NOW)
    with pytest.raises(TaskLostError):
        await world.store.give_back_job(claimed.lease, 0, NOW)
    assert [event for event, _, _ in await announced(world)] == ["response.cancelled"]


async def test_a_deleted_job_that_was_open_is_announced_as_cancelled(world: World) -> None:
    open_one, done = await create(world), await create(world, due_at_ms=NOW - 1)
    (claimed,) = await claim(world, limit=1)
    assert claimed.job.id == done.id
    await world.store.end_job(claimed.lease, JobState.COMPLETED, b"{}", NOW)
    for job in (open_one, done):
        assert await world.store.delete_job(world.scope, RESPONSE, job.id, NOW)
        assert not await world.store.delete_job(world.scope, RESPONSE, job.id, NOW)
        assert await world.store.get_job(world.scope, RESPONSE, job.id) is None
    assert sorted(event for event, _, _ in await announced(world)) == ["response.cancelled", "response.completed"]


async def test_a_job_that_was_given_back_or_whose_lease_ended_goes_on(world: World) -> None:
    await create(world)
    (first,) = await claim(world)
    back = await world.store.give_back_job(first.lease, 2, NOW + 50)
    assert (back.state, back.attempts, back.due_at_ms) == (JobState.IN_PROGRESS, 2, NOW + 50)
    assert await claim(world, "node_b") == []
    (second,) = await claim(world, "node_b", now_ms=NOW + 50)
    assert second.job.attempts == 2
    assert await world.store.renew_jobs([first.lease, second.lease], LEASE_S) == {second.job.id}
    assert await world.store.renew_jobs([second.lease], -1.0) == {second.job.id}
    (third,) = await claim(world, "node_c", now_ms=NOW + 60)
    assert (third.job.attempts, third.job.started_at_ms) == (3, NOW)
    for old in (first.lease, second.lease, TaskLease("resp_unknown", 1)):
        with pytest.raises(TaskLostError):
            await world.store.end_job(old, JobState.COMPLETED, b"{}", NOW)
    assert await announced(world) == []


async def test_open_jobs_are_bounded_and_belong_to_an_application_that_is_there(world: World) -> None:
    for _ in range(2):
        await world.store.create_job(new_job(world), most_open=2)
    with pytest.raises(JobLimitError):
        await world.store.create_job(new_job(world), most_open=2)
    (claimed,) = await claim(world, limit=1)
    await world.store.end_job(claimed.lease, JobState.COMPLETED, b"{}", NOW)
    await world.store.create_job(new_job(world), most_open=2)
    for changes in ({"app_id": "app_unknown"}, {"org_id": "org_unknown"}):
        with pytest.raises(JobLimitError):
            await create(world, **changes)


async def test_ended_jobs_are_pruned_and_open_ones_are_not(world: World) -> None:
    old, new, still_open = await create(world), await create(world), await create(world)
    for job, ended_at_ms in ((old, NOW - 10), (new, NOW)):
        await world.store.cancel_job(world.scope, RESPONSE, job.id, ended_at_ms)
    assert await world.store.prune_jobs(NOW, 10) == 1
    found = [await world.store.get_job(world.scope, RESPONSE, job.id) for job in (old, new, still_open)]
    assert [job is not None for job in found] == [False, True, True]


async def test_deleted_applications_leave_no_jobs(world: World) -> None:
    done, still_open = await create(world), await create(world)
    await world.store.cancel_job(world.scope, RESPONSE, done.id, NOW)
    (claimed,) = await claim(world)
    assert await world.store.delete_application(world.scope, NOW)
    assert await world.store.get_job(world.scope, RESPONSE, still_open.id) is None
    with pytest.raises(TaskLostError):
        await world.store.end_job(claimed.lease, JobState.COMPLETED, b"{}", NOW)
    assert await announced(world) == []
    with pytest.raises(JobLimitError):
        await create(world)
    await world.store.erase_deleted(NOW, 10)
    assert await world.store.get_job(world.scope, RESPONSE, done.id) is None
