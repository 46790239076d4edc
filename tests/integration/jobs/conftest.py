"""A store of each kind with an application in it, and a runner on top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from hookline.clock import ManualClock
from hookline.jobs import JobOptions, Kind, Runner
from hookline.model import Task, TaskState
from hookline.model.ids import TASK
from hookline.store import KeyRing, OrgScope, create_store
from support.store import NOW, ORG, World, new_id

KEY_RING = KeyRing.from_text("k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
PATIENCE_S = 20
# Nothing waits for a poll: what should happen must be woken.
OPTIONS = JobOptions(poll_s=60.0, page=10, max_attempts=3, longest_rest_s=0.0)


class Bench:
    """Makes tasks and runners, and waits for what becomes of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.clock = ManualClock(NOW)
        self.runners: list[Runner] = []

    def run(self, kinds: Iterable[Kind], options: JobOptions = OPTIONS, node: str = "node_here") -> Runner:
        runner = Runner(self.store, kinds, node, self.clock, options)
        self.store.subscribe(runner.heard)
        self.runners.append(runner)
        runner.start()
        return runner

    async def create(self, kind: str, app_id: str | None = None, **parameters: Any) -> str:
        now_ms = self.clock.now_ms()
        task = Task(new_id(TASK), ORG, app_id, kind, parameters, now_ms, now_ms, now_ms)
        await self.store.create_task(task, most_open=100)
        return task.id

    async def look(self, task_id: str) -> Task:
        task = await self.store.get_task(OrgScope(ORG), task_id)
        assert task is not None
        return task

    async def await_task(self, task_id: str, is_so: Callable[[Task], bool]) -> Task:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so(task := await self.look(task_id)):
                await asyncio.sleep(0.005)
        return task

    async def await_state(self, task_id: str, state: TaskState) -> Task:
        return await self.await_task(task_id, lambda task: task.state is state)

    async def await_retry(self, task_id: str, attempts: int) -> Task:
        """Wait until it has failed so often, and was given back."""
        return await self.await_task(task_id, lambda task: task.attempts == attempts and task.state is TaskState.QUEUED)


@pytest.fixture(params=["memory", "postgres"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    url = "sqlite:///:memory:" if request.param == "memory" else request.getfixturevalue("postgres_dsn")
    store = create_store(url, key_ring=KEY_RING)
    await store.migrate()
    await store.open(engine=True)
    bench = Bench(await World(store).build())
    yield bench
    for runner in bench.runners:
        await runner.stop()
    await store.close()
