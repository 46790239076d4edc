"""`/api/v1/background-task`: long work that was asked for elsewhere, its progress and its end.

Svix has three statuses. A task that waits shows as running, one that was canceled as failed; `state` says it exactly.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from hookline.jobs.run import CANCELED
from hookline.model import Task, TaskState, ids
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order, iterators, read_page
from hookline.server.surfaces.svix.rendering import format_time
from hookline.server.surfaces.svix.shape import Shape
from hookline.server.surfaces.svix.shapes import ListOut

router = APIRouter(
    prefix="/background-task", tags=["Background Task"], route_class=AuthenticatedRoute, dependencies=[BEARER]
)

Status = Literal["running", "finished", "failed"]
_STATUS: Final[dict[TaskState, Status]] = {
    TaskState.QUEUED: "running",
    TaskState.RUNNING: "running",
    TaskState.FINISHED: "finished",
    TaskState.FAILED: "failed",
    TaskState.CANCELED: "failed",
}


class ProgressOut(Shape):
    """`done` of `total` things were looked at, `affected` of them were changed. `total` is null when nobody knows."""

    done: int
    total: int | None
    affected: int


class TaskOut(Shape):
    """A background task. `data` is its result; `reason` in it says why there is none."""

    id: str
    status: Status
    task: str
    updated_at: str
    data: dict[str, Any]
    state: str
    progress: ProgressOut
    app_id: str | None
    created_at: str
    finished_at: str | None


@router.get("", operation_id="v1.background-task.list")
async def list_tasks(
    runtime: RuntimeDep,
    caller: Caller,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
    status: Annotated[Status | None, Query(description="Only with this status.")] = None,
    task: Annotated[str | None, Query(max_length=256, description="Only of this kind.")] = None,
) -> ListOut[TaskOut]:
    """Tasks of the organization, newest first; with a credential of one application, those of that application."""
    page = read_page(ids.TASK, limit, iterator, ascending=order == "ascending")
    states = None if status is None else tuple(state for state, shown in _STATUS.items() if shown == status)
    rows = await runtime.tasks.list_page(caller, page, states=states, kind=task)
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    data = [render_task(row) for row in rows.rows]
    return ListOut(data=data, iterator=following, prev_iterator=previous, done=rows.done)


@router.get("/{task_id}", operation_id="v1.background-task.get")
async def get_task(runtime: RuntimeDep, caller: Caller, task_id: str) -> TaskOut:
    return render_task(await runtime.tasks.get(caller, task_id))


@router.post("/{task_id}/cancel", operation_id="v1.background-task.cancel")
async def cancel_task(runtime: RuntimeDep, caller: Caller, task_id: str) -> TaskOut:
    """Call a task off. One that runs ends after the step that it is at; what it did until then stays."""
    return render_task(await runtime.tasks.cancel(caller, task_id))


def render_task(task: Task) -> TaskOut:
    data = dict(task.result)
    if task.state is TaskState.CANCELED:
        data["reason"] = CANCELED
    elif task.error is not None:
        data["reason"] = task.error
    return TaskOut(
        id=task.id,
        status=_STATUS[task.state],
        task=task.kind,
        updated_at=format_time(task.updated_at_ms),
        data=data,
        state=task.state.value,
        progress=ProgressOut(done=task.done, total=task.total, affected=task.affected),
        app_id=task.app_id,
        created_at=format_time(task.created_at_ms),
        finished_at=None if task.finished_at_ms is None else format_time(task.finished_at_ms),
    )
