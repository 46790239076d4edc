"""The kinds of tasks at work, on pages so small that every walk has many."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.jobs import build_kinds
from hookline.model import Endpoint, EndpointStatus, Extras, Kind, Message, TaskState
from hookline.store import NewMessage, Outcome
from integration.jobs.conftest import OPTIONS, Bench
from support.store import HOUR, NOW, attempt, failure, message

S = TaskState
WINDOW = {"since_ms": NOW - HOUR, "until_ms": NOW + HOUR}


async def finish(bench: Bench, kind: str, endpoint: Endpoint | None = None, **parameters: Any) -> Any:
    """Run a task to its end; it."""
    if not bench.runners:
        bench.run(build_kinds(bench.store, bench.clock, OPTIONS))
    if endpoint is not None:
        parameters = {"endpoint_id": endpoint.id, **WINDOW, **parameters}
    task_id = await bench.create(kind, bench.world.app.id, **parameters)
    return await bench.await_task(task_id, lambda task: not task.is_open)


async def fail(bench: Bench, endpoint: Endpoint, count: int) -> list[Message]:
    messages = await bench.world.accept(endpoint.id, count=count)
    await bench.world.record(*(Outcome(failure(of, endpoint.id, final=True)) for of in messages))
    return messages


async def owed(bench: Bench, endpoint: Endpoint) -> list[tuple[str, Kind]]:
    claimed = await bench.world.lease(endpoint.id, room=1_000)
    return sorted((one.message.id, one.kind) for one in claimed)


async def test_recover_takes_what_has_ended_without_success_and_that_alone(bench: Bench) -> None:
    world = bench.world
    here, there = await world.endpoint(), await world.endpoint()
    failed = await fail(bench, here, 25)
    await fail(bench, there, 3)
    (arrived, waits) = await world.accept(here.id, count=2)
    await world.record(
        Outcome(failure(arrived, here.id)), Outcome(attempt(arrived, here.id, number=2)),
        Outcome(failure(waits, here.id), retry_at_ms=NOW + HOUR),
    )  # fmt: skip
    await world.accept(here.id, count=2, at_ms=NOW - HOUR - 1)
    task = await finish(bench, "endpoint.recover", here)
    assert (task.state, task.result) == (S.FINISHED, {"endpointId": here.id, "messages": 25})
    assert (task.done, task.total, task.affected) == (32, 32, 25)
    assert await owed(bench, here) == [(of.id, Kind.SCHEDULED) for of in failed]
    assert await owed(bench, there) == []
    assert (await finish(bench, "endpoint.recover", here)).affected == 0


async def test_replay_missing_takes_what_the_filters_match_now(bench: Bench) -> None:
    world = bench.world
    wanted = [message(world.app.id, channels=("eu",), payload=b'{"vip":true}') for _ in range(12)]
    unwanted = [
        message(world.app.id, channels=("eu",), payload=b'{"vip":false}'),
        message(world.app.id, channels=("us",), payload=b'{"vip":true}'),
        message(world.app.id, channels=("eu",), payload=b'{"vip":true}', event_type="other.type"),
        message(world.app.id, channels=("eu",), payload=b"", payload_expired=True),
    ]
    await world.write(messages=[NewMessage(one) for one in [*wanted, *unwanted]])
    here = await world.endpoint(
        event_types=("order.*",), channels=("eu",), extras=Extras(filter={"vip": True}), status=EndpointStatus.DISABLED
    )
    (meant,) = await world.accept(here.id, channels=("eu",), payload=b'{"vip":true}')
    task = await finish(bench, "endpoint.replay", here)
    assert (task.state, task.affected) == (S.FINISHED, 12)
    await world.set_status(here, EndpointStatus.ENABLED)
    assert await owed(bench, here) == [(of.id, Kind.SCHEDULED) for of in wanted]
    assert (await finish(bench, "endpoint.replay", here)).affected == 0
    assert meant.id not in dict(await owed(bench, here))


async def test_bulk_replay_tries_everything_that_fits_once_more(bench: Bench) -> None:
    world = bench.world
    here = await world.endpoint()
    failed = await fail(bench, here, 11)
    arrived = await world.accept(here.id, count=11, tags=("big",))
    await world.record(*(Outcome(attempt(of, here.id)) for of in arrived))
    assert (await finish(bench, "endpoint.bulk-replay", here, statuses=[2], tag="big")).affected == 0
    assert (await finish(bench, "endpoint.bulk-replay", here, tag="big")).affected == 11
    assert await owed(bench, here) == [(of.id, Kind.MANUAL) for of in arrived]
    everything = await finish(bench, "endpoint.bulk-replay", here)
    assert everything.affected == 11, "resends that wait are enough"
    assert await owed(bench, here) == [(of.id, Kind.MANUAL) for of in failed]


async def test_an_endpoint_that_goes_ends_its_replay(bench: Bench) -> None:
    here = await bench.world.endpoint()
    await fail(bench, here, 3)
    await bench.store.delete_endpoint(bench.world.scope, here.id, NOW)
    task = await finish(bench, "endpoint.recover", here)
    assert (task.state, task.error) == (S.FAILED, "The endpoint was deleted.")


async def test_all_payloads_go_but_those_of_later_messages(bench: Bench) -> None:
    world = bench.world
    here = await world.endpoint()
    old = await world.free(here.id, count=25)
    task = await finish(bench, "application.purge_content", until_ms=NOW + 1)
    assert (task.state, task.affected, task.done, task.total) == (S.FINISHED, 25, 25, 25)
    found = await bench.store.get_message(world.scope, old[-1].id)
    assert found is not None
    assert found.payload_expired
    assert await owed(bench, here) == []
    (new,) = await world.accept(at_ms=NOW + 1)
    assert (await finish(bench, "application.purge_content", until_ms=NOW + 1)).affected == 0
    kept = await bench.store.get_message(world.scope, new.id)
    assert kept is not None
    assert not kept.payload_expired


async def test_statistics_go_through_applications_of_any_size(bench: Bench) -> None:
    world = bench.world
    here = await world.endpoint()
    many = await world.accept(here.id, count=25)
    await world.record(*(Outcome(attempt(of, here.id)) for of in many))
    apps = [world.app]
    for number in range(3):
        other = await type(world)(bench.store).build()
        await other.accept(count=number, event_type=f"type.{number}")
        apps.append(other.app)
    stats = await finish(bench, "application.stats", **WINDOW)
    counts = {row["appId"]: (row["messages"], row["succeeded"]) for row in stats.result["applications"]}
    assert counts == {apps[0].id: (25, 25), apps[2].id: (1, 0), apps[3].id: (2, 0)}
    named = await finish(bench, "application.stats", **WINDOW, app_ids=[apps[1].id, apps[0].id])
    counts = {row["appId"]: row["messages"] for row in named.result["applications"]}
    assert counts == {apps[0].id: 25, apps[1].id: 0}
    types = await finish(bench, "event-type.aggregate", **WINDOW)
    assert [(row["name"], row["messages"]) for row in types.result["eventTypes"]] == [
        ("order.created", 25), ("type.2", 2), ("type.1", 1),
    ]  # fmt: skip
    assert types.done == 28


@pytest.mark.parametrize("kind", ["application.stats", "event-type.aggregate"])
async def test_statistics_of_nothing(bench: Bench, kind: str) -> None:
    task = await finish(bench, kind, **WINDOW)
    assert task.state is S.FINISHED
    assert [value for value in task.result.values() if value] == []


async def test_a_walk_goes_on_where_it_was_canceled_or_not_at_all(bench: Bench, monkeypatch: Any) -> None:
    """A cancel in the middle: what was done stays, nothing else is."""
    here = await bench.world.endpoint()
    failed = await fail(bench, here, 50)
    real = bench.store.advance_task

    async def ask_to_cancel(lease: Any, step: Any, now_ms: int) -> Any:
        task = await real(lease, step, now_ms)
        return msgspec.structs.replace(task, cancel_requested=task.done >= 20)

    monkeypatch.setattr(bench.store, "advance_task", ask_to_cancel)
    task = await finish(bench, "endpoint.recover", here)
    assert (task.state, task.done, task.affected) == (S.CANCELED, 20, 20)
    assert await owed(bench, here) == [(of.id, Kind.SCHEDULED) for of in failed[:20]]
