"""The runner: from a claim to every end there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hookline.jobs import Run, TaskFailedError
from hookline.model import TaskState
from hookline.store import OrgScope, StoreUnavailableError
from hookline.store.tasks import ClaimedTask
from integration.jobs.conftest import OPTIONS, Bench
from support.store import ORG

S = TaskState


class Custom:
    """A kind of task whose work is a function."""

    name = "custom"

    def __init__(self, work: Callable[[Run], Awaitable[Mapping[str, Any]]]) -> None:
        self._work = work

    async def work(self, run: Run) -> Mapping[str, Any]:
        return await self._work(run)


async def count_to_five(run: Run) -> Mapping[str, Any]:
    while (count := int((run.task.cursor or {"n": 0})["n"])) < 5:
        await run.advance({"n": count + 1}, looked_at=1, total=5)
        await run.breathe()
    return {"counted": count}


async def test_a_task_wakes_the_runner_and_comes_to_its_end(bench: Bench) -> None:
    runner = bench.run([Custom(count_to_five)])
    task = await bench.await_state(await bench.create("custom"), S.FINISHED)
    assert (task.result, task.done, task.total, task.error) == ({"counted": 5}, 5, 5, None)
    assert task.finished_at_ms == bench.clock.now_ms()
    while runner.running:
        await asyncio.sleep(0)


async def test_unknown_kinds_are_left_to_nodes_that_know_them(bench: Bench) -> None:
    bench.run([Custom(count_to_five)])
    other = await bench.create("other")
    await bench.await_state(await bench.create("custom"), S.FINISHED)
    assert (await bench.look(other)).state is S.QUEUED


async def test_only_so_many_run_at_once(bench: Bench) -> None:
    running, most = set[str](), 0
    gate = asyncio.Event()

    async def wait(run: Run) -> Mapping[str, Any]:
        nonlocal most
        running.add(run.task.id)
        most = max(most, len(running))
        if len(running) == 2:
            gate.set()
        await gate.wait()
        await asyncio.sleep(0)
        running.discard(run.task.id)
        return {}

    bench.run([Custom(wait)], replace(OPTIONS, concurrency=2))
    ids = [await bench.create("custom") for _ in range(5)]
    for task_id in ids:
        await bench.await_state(task_id, S.FINISHED)
    assert most == 2


async def test_cancel_is_seen_between_steps(bench: Bench) -> None:
    stepped, go_on = asyncio.Event(), asyncio.Event()

    async def work(run: Run) -> Mapping[str, Any]:
        await run.advance({"n": 1}, looked_at=1)
        stepped.set()
        await go_on.wait()
        await run.advance({"n": 2}, looked_at=1)
        raise AssertionError("there must not be another step")

    bench.run([Custom(work)])
    task_id = await bench.create("custom")
    await stepped.wait()
    told = await bench.store.request_cancel(OrgScope(ORG), task_id, bench.clock.now_ms())
    assert told is not None
    assert told.state is S.RUNNING
    go_on.set()
    task = await bench.await_state(task_id, S.CANCELED)
    assert (task.done, task.cursor, task.error) == (2, {"n": 2}, "canceled")


async def test_a_failure_is_tried_again_ever_later_from_the_last_step(bench: Bench) -> None:
    seen: list[Any] = []

    async def work(run: Run) -> Mapping[str, Any]:
        seen.append(run.task.cursor)
        if run.task.cursor is None:
            await run.advance({"n": 1}, looked_at=1)
        if len(seen) < 3:
            raise RuntimeError("secret detail")
        return {}

    runner = bench.run([Custom(work)])
    task_id = await bench.create("custom")
    for attempts, pause_s in ((1, 1), (2, 2)):
        task = await bench.await_retry(task_id, attempts)
        assert task.due_at_ms == bench.clock.now_ms() + pause_s * 1000
        assert task.error == "An internal error (RuntimeError); the server's log says more."
        bench.clock.advance(pause_s)
        runner.wake()
    task = await bench.await_state(task_id, S.FINISHED)
    assert (seen, task.error, task.done) == ([None, {"n": 1}, {"n": 1}], None, 1)


async def test_what_fails_too_often_or_for_good_has_failed(bench: Bench) -> None:
    async def fail(run: Run) -> Mapping[str, Any]:
        if run.task.parameters.get("for_good"):
            raise TaskFailedError("The endpoint was deleted.")
        raise RuntimeError

    runner = bench.run([Custom(fail)])
    for_good = await bench.await_state(await bench.create("custom", for_good=True), S.FAILED)
    assert for_good.error == "The endpoint was deleted."
    task_id = await bench.create("custom")
    for attempts in (1, 2):
        await bench.await_retry(task_id, attempts)
        bench.clock.advance(60)
        runner.wake()
    task = await bench.await_state(task_id, S.FAILED)
    assert task.error is not None
    assert (task.attempts, "RuntimeError" in task.error) == (3, True)


async def test_a_task_that_kills_its_nodes_is_given_up(bench: Bench) -> None:
    task_id = await bench.create("custom")
    for number in range(4):
        (claimed,) = await bench.store.claim_tasks(f"node_{number}", ["custom"], -1.0, bench.clock.now_ms(), 1)
        assert claimed.task.attempts == number
    bench.run([Custom(count_to_five)])
    task = await bench.await_state(task_id, S.FAILED)
    assert task.error == "Given up: each node that took this task died."


async def test_a_long_task_lets_others_go_first(bench: Bench) -> None:
    order: list[str] = []

    async def work(run: Run) -> Mapping[str, Any]:
        name = run.task.parameters["name"]
        order.append(name)
        if name == "long" and run.task.cursor is None:
            await run.advance({"n": 1}, looked_at=1)
            bench.clock.advance(OPTIONS.turn_s)
            await run.breathe()
        return {}

    long, short = await bench.create("custom", name="long"), await bench.create("custom", name="short")
    bench.run([Custom(work)], replace(OPTIONS, concurrency=1))
    await bench.await_state(long, S.FINISHED)
    await bench.await_state(short, S.FINISHED)
    assert order == ["long", "short", "long"]


async def test_a_node_that_stops_gives_its_tasks_back_at_once(bench: Bench) -> None:
    started = asyncio.Event()

    async def work(run: Run) -> Mapping[str, Any]:
        await run.advance({"n": 1}, looked_at=1)
        started.set()
        await asyncio.Event().wait()
        return {}

    first = bench.run([Custom(work)], node="node_first")
    task_id = await bench.create("custom")
    await started.wait()
    await first.stop()
    task = await bench.look(task_id)
    assert (task.state, task.cursor, task.attempts) == (S.QUEUED, {"n": 1}, 0)
    bench.run([Custom(count_to_five)], node="node_second")
    assert (await bench.await_state(task_id, S.FINISHED)).done == 5


async def test_a_node_that_lost_its_lease_drops_the_task(bench: Bench) -> None:
    started, dropped = asyncio.Event(), asyncio.Event()

    async def work(run: Run) -> Mapping[str, Any]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()
        return {}

    runner = bench.run([Custom(work)], replace(OPTIONS, concurrency=1))  # no room to take it again itself
    task_id = await bench.create("custom")
    await started.wait()
    lease = next(iter(runner._runs.values())).lease
    others: list[ClaimedTask] = []
    while not others:  # our runner may just be renewing it
        await bench.store.renew_tasks([lease], -1.0)
        others = await bench.store.claim_tasks("node_other", ["custom"], 60.0, bench.clock.now_ms(), 1)
    runner.wake()
    await dropped.wait()
    task = await bench.look(task_id)
    assert (task.state, others[0].task.id) == (S.RUNNING, task_id)
    assert await bench.store.renew_tasks([others[0].lease], 60.0) == {task_id: False}


@pytest.mark.parametrize("written", [False, True])
async def test_a_step_whose_answer_was_lost_is_not_made_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, written: bool
) -> None:
    """The database goes away during a step. Whether it was written, only the next claim can tell."""
    real = bench.store.advance_task
    lost = False

    async def lose(*arguments: Any) -> Any:
        nonlocal lost
        if not lost and arguments[1].cursor == {"n": 3}:
            lost = True
            if written:
                await real(*arguments)
            raise StoreUnavailableError("away")
        return await real(*arguments)

    monkeypatch.setattr(bench.store, "advance_task", lose)
    seen: list[int] = []

    async def count(run: Run) -> Mapping[str, Any]:
        seen.append(int((run.task.cursor or {"n": 0})["n"]))
        return await count_to_five(run)

    runner = bench.run([Custom(count)], replace(OPTIONS, lease_s=0.2))
    task_id = await bench.create("custom")
    while not lost or runner.running:
        await asyncio.sleep(0)
    bench.clock.advance(1)
    task = await bench.await_state(task_id, S.FINISHED)
    assert (task.done, seen) == (5, [0, 3 if written else 2])
