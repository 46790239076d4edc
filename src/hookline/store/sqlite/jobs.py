"""Jobs that announce their end: each function is a part of one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from hookline import crashpoints
from hookline.model.jobs import Job, JobState
from hookline.store.jobs import ClaimedJob, JobLimitError, announcement_of, job_from_row, job_to_row
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite import claiming
from hookline.store.tasks import TaskLease, TaskLostError

_SQL = load_queries("sqlite", "jobs")


def create(connection: sqlite3.Connection, job: Job, most_open: int) -> Job:
    if not connection.execute(_SQL["insert_job"], (*job_to_row(job), most_open)).rowcount:
        raise JobLimitError("too many jobs are open already; wait until some have ended, or cancel some")
    return job


def find(connection: sqlite3.Connection, scope: AppScope, kind: str, job_id: str) -> Job | None:
    row = connection.execute(_SQL["find_job"], (job_id, scope.app_id, scope.org_id, kind)).fetchone()
    return None if row is None else job_from_row(row)


def cancel(connection: sqlite3.Connection, scope: AppScope, kind: str, job_id: str, now_ms: int) -> Job | None:
    row = connection.execute(_SQL["cancel"], (job_id, scope.app_id, scope.org_id, kind, now_ms)).fetchone()
    if row is None:
        return find(connection, scope, kind, job_id)
    return _announce(connection, job_from_row(row))


def delete(connection: sqlite3.Connection, scope: AppScope, kind: str, job_id: str, now_ms: int) -> bool:
    if cancel(connection, scope, kind, job_id, now_ms) is None:
        return False
    connection.execute(_SQL["delete_job"], (job_id, scope.app_id, scope.org_id, kind))
    return True


def has_due(connection: sqlite3.Connection, kinds: Collection[str], now_ms: int, clock_ms: int) -> bool:
    """Whether `claim` would find something at this moment."""
    return claiming.has_due(connection, _SQL, kinds, now_ms, clock_ms)


def claim(
    connection: sqlite3.Connection,
    node_id: str,
    kinds: Collection[str],
    until_ms: int,
    now_ms: int,
    clock_ms: int,
    limit: int,
) -> list[ClaimedJob]:
    claimed = claiming.claim(connection, _SQL, node_id, kinds, until_ms, now_ms, clock_ms, limit)
    return [ClaimedJob(job_from_row(row), lease) for row, lease in claimed]


def renew(connection: sqlite3.Connection, leases: Sequence[TaskLease], until_ms: int) -> set[str]:
    return {
        lease.task_id
        for lease in leases
        if connection.execute(_SQL["renew"], (lease.task_id, lease.epoch, until_ms)).rowcount
    }


def give_back(connection: sqlite3.Connection, lease: TaskLease, attempts: int, due_at_ms: int) -> Job:
    row = connection.execute(_SQL["give_back"], (lease.task_id, lease.epoch, attempts, due_at_ms)).fetchone()
    if row is None:
        raise lost(lease)
    return job_from_row(row)


def end(connection: sqlite3.Connection, lease: TaskLease, state: JobState, result: bytes | None, now_ms: int) -> Job:
    row = connection.execute(_SQL["end_job"], (lease.task_id, lease.epoch, state.value, result, now_ms)).fetchone()
    if row is None:
        raise lost(lease)
    return _announce(connection, job_from_row(row))


def prune(connection: sqlite3.Connection, before_ms: int, limit: int) -> int:
    return connection.execute(_SQL["delete_ended"], (before_ms, limit)).rowcount


def end_leases(connection: sqlite3.Connection) -> None:
    """Let jobs be claimed at once: the process that had them is gone."""
    connection.execute(_SQL["end_leases"])


def _announce(connection: sqlite3.Connection, job: Job) -> Job:
    crashpoints.reach("before_job_event")
    connection.execute(_SQL["insert_outbox"], announcement_of(job))
    return job


def lost(lease: TaskLease) -> TaskLostError:
    return TaskLostError(f"job {lease.task_id} is not this node's any more; whoever has it goes on")
