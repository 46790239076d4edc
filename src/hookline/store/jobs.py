"""`JobStore`: jobs that announce themselves (see `model.jobs`), with their leases in the same row.

A table of its own beside the background tasks': its rows are seen through another API, are many more and shorter, and
have limits and a retention of their own. What ends a job, whoever does it, puts its event into the outbox in the same
transaction, under a name that follows from the job's id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import msgspec

from hookline.model.jobs import Job, JobState
from hookline.store.errors import StoreError
from hookline.store.scope import AppScope
from hookline.store.tasks import TaskLease

_encode = msgspec.json.Encoder().encode


class JobLimitError(StoreError):
    """The application has as many open jobs as it may have, or is gone. Nothing was kept."""

    code = "job_limit"


class ClaimedJob(msgspec.Struct, frozen=True):
    """A job that is leased to this node from now on."""

    job: Job
    lease: TaskLease


class JobStore(Protocol):
    async def create_job(self, job: Job, *, most_open: int) -> Job:
        """Raises JobLimitError when its application has `most_open` open ones, or is deleted."""
        ...

    async def get_job(self, scope: AppScope, kind: str, job_id: str) -> Job | None: ...
    async def cancel_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> Job | None:
        """End it as cancelled and announce that, whoever works on it: what comes later is not kept. One that has ended
        stays as it is. None when there is no such job.
        """
        ...

    async def delete_job(self, scope: AppScope, kind: str, job_id: str, now_ms: int) -> bool:
        """Remove it; one that is open is cancelled, and announced as that. False when there is no such job."""
        ...

    async def claim_jobs(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedJob]:
        """Lease open jobs of these kinds that are due and nobody's, longest due first. One that its last node did not
        give back has one more in `attempts`.
        """
        ...

    async def renew_jobs(self, leases: Sequence[TaskLease], lease_s: float) -> set[str]:
        """The ids of those that are still ours."""
        ...

    async def give_back_job(self, lease: TaskLease, attempts: int, due_at_ms: int) -> Job:
        """Let it be claimed again from then on. Raises TaskLostError when it is not ours any more."""
        ...

    async def end_job(self, lease: TaskLease, state: JobState, result: bytes | None, now_ms: int) -> Job:
        """Write its end, and its event. Raises TaskLostError when it is not ours any more; nothing was written."""
        ...

    async def prune_jobs(self, before_ms: int, limit: int) -> int:
        """Remove jobs that ended before then; how many."""
        ...


def job_from_row(row: Sequence[Any]) -> Job:
    """Read the columns of a job in the order of its members."""
    fields = dict(zip(Job.__struct_fields__, row, strict=True))
    return Job(**{**fields, "state": JobState(fields["state"])})


def job_to_row(job: Job) -> tuple[Any, ...]:
    """Give the columns of a job in the order of its members, but those of the lease."""
    fields = msgspec.structs.asdict(job)
    return tuple({**fields, "state": job.state.value}.values())


def announcement_of(job: Job) -> tuple[str, str, str, bytes, str]:
    """Give org_id, app, event_type, payload, event_id of hookline_outbox for a job that has ended."""
    return (job.org_id, job.app_id, f"{job.kind}.{job.state.value}", _encode({"id": job.id}), f"end.{job.id}")
