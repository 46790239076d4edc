"""The `TaskStore` side of `SqliteStore`: each method one transaction."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from hookline.clock import Clock
from hookline.model import Task
from hookline.store.protocol import Page, Slice
from hookline.store.scope import AppScope, OrgScope
from hookline.store.sqlite import replays, tasks
from hookline.store.sqlite.watching import Watcher
from hookline.store.sqlite.writer import Writer
from hookline.store.tasks import Candidate, ClaimedTask, MessageWindow, TaskFilter, TaskLease, TaskStep, Usage

T = TypeVar("T")


class SqliteTaskStore(ABC):
    """Leases run on the store's clock: in one process there is no other."""

    _writer: Writer
    _watcher: Watcher
    _clock: Clock

    @abstractmethod
    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    async def create_task(self, task: Task, *, most_open: int) -> Task:
        created = await self._writer.run(lambda c: tasks.create(c, task, most_open))
        self._watcher.announce("task", task.id)
        return created

    async def get_task(self, scope: OrgScope, task_id: str) -> Task | None:
        return await self._read(lambda c: tasks.find(c, scope, task_id))

    async def list_tasks(self, scope: OrgScope, page: Page, where: TaskFilter) -> Slice[Task]:
        return await self._read(lambda c: tasks.list_page(c, scope, page, where))

    async def request_cancel(self, scope: OrgScope, task_id: str, now_ms: int) -> Task | None:
        clock_ms = self._clock.now_ms()
        return await self._writer.run(lambda c: tasks.request_cancel(c, scope, task_id, now_ms, clock_ms))

    async def claim_tasks(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedTask]:
        # Asked first without writing: most of the time there is nothing, and a transaction would be for nothing.
        clock_ms = self._clock.now_ms()
        if not await self._read(lambda c: tasks.has_due(c, kinds, now_ms, clock_ms)):
            return []
        until_ms = clock_ms + round(lease_s * 1000)
        return await self._writer.run(lambda c: tasks.claim(c, node_id, kinds, until_ms, now_ms, clock_ms, limit))

    async def renew_tasks(self, leases: Sequence[TaskLease], lease_s: float) -> dict[str, bool]:
        until_ms = self._clock.now_ms() + round(lease_s * 1000)
        return await self._writer.run(lambda c: tasks.renew(c, leases, until_ms))

    async def advance_task(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task:
        announcements: list[tuple[str, str]] = []
        task = await self._writer.run(lambda c: tasks.advance(c, lease, step, now_ms, announcements), in_thread=True)
        for kind, identifier in announcements:
            self._watcher.announce(kind, identifier)
        return task

    async def prune_tasks(self, before_ms: int, limit: int) -> int:
        return await self._writer.run(lambda c: tasks.prune(c, before_ms, limit), in_thread=True)

    async def count_window(self, scope: AppScope, window: MessageWindow, most: int) -> int | None:
        return await self._read(lambda c: replays.count_window(c, scope, window, most))

    async def list_candidates(
        self, scope: AppScope, endpoint_id: str, window: MessageWindow, now_ms: int, limit: int
    ) -> list[Candidate]:
        return await self._read(lambda c: replays.list_candidates(c, scope, endpoint_id, window, now_ms, limit))

    async def list_contents(self, scope: AppScope, window: MessageWindow, limit: int) -> list[tuple[str, bool]]:
        return await self._read(lambda c: replays.list_contents(c, scope, window, limit))

    async def count_usage(self, scope: AppScope, window: MessageWindow, limit: int) -> Usage:
        return await self._read(lambda c: replays.count_usage(c, scope, window, limit))
