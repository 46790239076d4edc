"""`/api/v1/stats/usage`: statistics over an organization, counted in the background."""

from __future__ import annotations

from fastapi import APIRouter, status

from hookline.jobs import Window
from hookline.server.routing import BEARER, AuthenticatedRoute, Organization, RuntimeDep
from hookline.server.surfaces.svix.background_tasks import TaskOut, render_task
from hookline.server.surfaces.svix.moments import read_moment
from hookline.server.surfaces.svix.recovery import Moment
from hookline.server.surfaces.svix.shape import Shape

router = APIRouter(prefix="/stats/usage", tags=["Statistics"], route_class=AuthenticatedRoute, dependencies=[BEARER])


class AppUsageIn(Shape):
    """`appIds` are ids or uids; without them all applications are counted."""

    since: Moment
    until: Moment
    app_ids: list[str] | None = None


class AppUsageOut(TaskOut):
    """`unresolvedAppIds` were not found."""

    unresolved_app_ids: list[str]


@router.post("/app", status_code=status.HTTP_202_ACCEPTED, operation_id="v1.statistics.aggregate-app-stats")
async def aggregate_applications(runtime: RuntimeDep, caller: Organization, body: AppUsageIn) -> AppUsageOut:
    """Count the messages of applications, and the attempts made for them."""
    window = Window(read_moment(body.since, "since"), read_moment(body.until, "until"))
    task, unresolved = await runtime.tasks.application_stats(caller, window, body.app_ids)
    return AppUsageOut(**render_task(task).model_dump(), unresolved_app_ids=unresolved)


@router.put("/event-types", status_code=status.HTTP_202_ACCEPTED, operation_id="v1.statistics.aggregate-event-types")
async def aggregate_event_types(runtime: RuntimeDep, caller: Organization) -> TaskOut:
    """Count the messages of each event type."""
    return render_task(await runtime.tasks.event_type_stats(caller))
