"""Jobs that announce themselves, as the runner's tasks: claimed, leased and retried in the same way, kept elsewhere.

a step that gives back ──> open as before, due later
a step that ends       ──> state and result by the step's own, and the event, in one transaction
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from hookline import crashpoints
from hookline.model import Task, TaskState
from hookline.model.jobs import Job, JobState
from hookline.store.jobs import JobStore
from hookline.store.tasks import ClaimedTask, TaskLease, TaskStep

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_ENDS: Final = {state.value: state for state in JobState} | {None: JobState.COMPLETED}
_TASK_STATES: Final = {
    JobState.QUEUED: TaskState.QUEUED,
    JobState.IN_PROGRESS: TaskState.RUNNING,
    JobState.FAILED: TaskState.FAILED,
    JobState.CANCELLED: TaskState.CANCELED,
}


class AnnouncedJobs:
    """A runner's `Ledger`. A kind's result says by `status` how the job ended, if not by completing."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def claim_tasks(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedTask]:
        claimed = await self._store.claim_jobs(node_id, kinds, lease_s, now_ms, limit)
        return [ClaimedTask(_task_of(one.job), one.lease) for one in claimed]

    async def renew_tasks(self, leases: Sequence[TaskLease], lease_s: float) -> dict[str, bool]:
        return dict.fromkeys(await self._store.renew_jobs(leases, lease_s), False)

    async def advance_task(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task:
        if step.is_open:
            job = await self._store.give_back_job(lease, step.attempts, step.due_at_ms or now_ms)
            return msgspec.structs.replace(_task_of(job), error=step.error)
        result = dict(step.result or {})
        if step.state is TaskState.FINISHED:
            state = _ENDS[result.pop("status", None)]
        else:
            state = JobState.FAILED
            result.setdefault("error", {"code": "server_error", "message": step.error or ""})
        job = await self._store.end_job(lease, state, _encode(result), now_ms)
        crashpoints.reach("after_job_end")
        return msgspec.structs.replace(_task_of(job), error=step.error)

    async def prune_tasks(self, before_ms: int, limit: int) -> int:
        return await self._store.prune_jobs(before_ms, limit)


def _task_of(job: Job) -> Task:
    return Task(
        id=job.id,
        org_id=job.org_id,
        app_id=job.app_id,
        kind=job.kind,
        parameters=_decode(job.request),
        created_at_ms=job.created_at_ms,
        updated_at_ms=job.started_at_ms or job.created_at_ms,
        due_at_ms=job.due_at_ms,
        state=_TASK_STATES.get(job.state, TaskState.FINISHED),
        attempts=job.attempts,
        finished_at_ms=job.ended_at_ms,
    )
