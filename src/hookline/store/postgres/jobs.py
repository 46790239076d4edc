"""Jobs that announce their end, with SKIP LOCKED: many nodes claim, and none waits for another.

Each statement locks one job's row alone; new rows of the outbox are in nobody's way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hookline import crashpoints
from hookline.model.jobs import Job, JobState
from hookline.store.jobs import ClaimedJob, JobLimitError, announcement_of, job_from_row, job_to_row
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.failures import retry_contention
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.tasks import TaskLease, TaskLostError

_SQL = load_queries("postgres", "jobs")
_NOTIFY = load_queries("postgres", "commit")["notify"]


class Jobs(PostgresBase):
    """The `JobStore` side, on the connections of the tasks."""

    async def create_job(self, job: Job, *, most_open: int) -> Job:
        async with self._tasks.transaction() as connection:
            if await connection.fetchval(_SQL["insert_job"], *job_to_row(job), most_open) is None:
                raise JobLimitError("too many jobs are open already; wait until some have ended, or cancel some")
            await connection.execute(_NOTIFY, f"job/{job.id}")
        return job

    async def get_job(self, scope: AppScope, kind: str, job_id: str) -> Job | None:
        row = await self._reads.fetch_row(_SQL["find_job"], job_id, scope.app_id, scope.org_id, kind)
        return None if row is None else job_from_row(tuple(row))

    async def cancel_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> Job | None:
        async def work() -> Job | None:
            async with self._tasks.transaction() as connection:
                return await _cancel(connection, scope, kind, job_id, now_ms)

        return await retry_contention(work)

    async def delete_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> bool:
        async def work() -> bool:
            async with self._tasks.transaction() as connection:
                await _cancel(connection, scope, kind, job_id, now_ms)
                key = (job_id, scope.app_id, scope.org_id, kind)
                return await connection.fetchval(_SQL["delete_job"], *key) is not None

        return await retry_contention(work)

    async def claim_jobs(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedJob]:
        rows = await self._tasks.fetch(_SQL["claim"], node_id, round(lease_s * 1000), now_ms, list(kinds), limit)
        claimed = []
        for record in rows:
            *row, epoch = record
            claimed.append(ClaimedJob(job_from_row(row), TaskLease(record[0], epoch)))
        return sorted(claimed, key=lambda one: one.job.due_at_ms)

    async def renew_jobs(self, leases: Sequence[TaskLease], lease_s: float) -> set[str]:
        ids, epochs = [lease.task_id for lease in leases], [lease.epoch for lease in leases]
        rows = await self._tasks.fetch(_SQL["renew"], ids, epochs, round(lease_s * 1000))
        return {row[0] for row in rows}

    async def give_back_job(self, lease: TaskLease, attempts: int, due_at_ms: int) -> Job:
        row = await self._tasks.fetch_row(_SQL["give_back"], lease.task_id, lease.epoch, attempts, due_at_ms)
        if row is None:
            raise _lost(lease)
        return job_from_row(tuple(row))

    async def end_job(self, lease: TaskLease, state: JobState, result: bytes | None, now_ms: int) -> Job:
        async def work() -> Job:
            async with self._tasks.transaction() as connection:
                key = (lease.task_id, lease.epoch)
                row = await connection.fetchrow(_SQL["end_job"], *key, state.value, result, now_ms)
                if row is None:
                    raise _lost(lease)
                return await _announce(connection, job_from_row(tuple(row)))

        return await retry_contention(work)

    async def prune_jobs(self, before_ms: int, limit: int) -> int:
        return len(await self._tasks.fetch(_SQL["delete_ended"], before_ms, limit))


async def _cancel(connection: Connection, scope: AppScope, kind: str, job_id: str, now_ms: int) -> Job | None:
    key = (job_id, scope.app_id, scope.org_id, kind)
    row = await connection.fetchrow(_SQL["cancel"], *key, now_ms)
    if row is not None:
        await connection.execute(_NOTIFY, f"job/{job_id}")  # who works on it lets go
        return await _announce(connection, job_from_row(tuple(row)))
    row = await connection.fetchrow(_SQL["find_job"], *key)
    return None if row is None else job_from_row(tuple(row))


async def _announce(connection: Connection, job: Job) -> Job:
    crashpoints.reach("before_job_event")
    await connection.execute(_SQL["insert_outbox"], *announcement_of(job))
    return job


def _lost(lease: TaskLease) -> TaskLostError:
    return TaskLostError(f"job {lease.task_id} is not this node's any more; whoever has it goes on")
