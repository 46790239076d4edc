"""The `JobStore` side of `SqliteStore`: each method one transaction."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from hookline.clock import Clock
from hookline.model.jobs import Job, JobState
from hookline.store.jobs import ClaimedJob
from hookline.store.scope import AppScope
from hookline.store.sqlite import jobs
from hookline.store.sqlite.watching import Watcher
from hookline.store.sqlite.writer import Writer
from hookline.store.tasks import TaskLease

T = TypeVar("T")


class SqliteJobStore(ABC):
    """Leases run on the store's clock: in one process there is no other."""

    _writer: Writer
    _watcher: Watcher
    _clock: Clock

    @abstractmethod
    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    async def create_job(self, job: Job, *, most_open: int) -> Job:
        created = await self._writer.run(lambda c: jobs.create(c, job, most_open))
        self._watcher.announce("job", job.id)
        return created

    async def get_job(self, scope: AppScope, kind: str, job_id: str) -> Job | None:
        return await self._read(lambda c: jobs.find(c, scope, kind, job_id))

    async def cancel_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> Job | None:
        job = await self._writer.run(lambda c: jobs.cancel(c, scope, kind, job_id, now_ms))
        self._ended(job_id)
        return job

    async def delete_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> bool:
        found = await self._writer.run(lambda c: jobs.delete(c, scope, kind, job_id, now_ms))
        self._ended(job_id)
        return found

    async def claim_jobs(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedJob]:
        # Asked first without writing: most of the time there is nothing, and a transaction would be for nothing.
        clock_ms = self._clock.now_ms()
        if not await self._read(lambda c: jobs.has_due(c, kinds, now_ms, clock_ms)):
            return []
        until_ms = clock_ms + round(lease_s * 1000)
        return await self._writer.run(lambda c: jobs.claim(c, node_id, kinds, until_ms, now_ms, clock_ms, limit))

    async def renew_jobs(self, leases: Sequence[TaskLease], lease_s: float) -> set[str]:
        until_ms = self._clock.now_ms() + round(lease_s * 1000)
        return await self._writer.run(lambda c: jobs.renew(c, leases, until_ms))

    async def give_back_job(self, lease: TaskLease, attempts: int, due_at_ms: int) -> Job:
        return await self._writer.run(lambda c: jobs.give_back(c, lease, attempts, due_at_ms))

    async def end_job(self, lease: TaskLease, state: JobState, result: bytes | None, now_ms: int) -> Job:
        job = await self._writer.run(lambda c: jobs.end(c, lease, state, result, now_ms))
        self._watcher.announce("outbox")
        return job

    async def prune_jobs(self, before_ms: int, limit: int) -> int:
        return await self._writer.run(lambda c: jobs.prune(c, before_ms, limit), in_thread=True)

    def _ended(self, job_id: str) -> None:
        self._watcher.announce("job", job_id)  # who works on it lets go
        self._watcher.announce("outbox")
