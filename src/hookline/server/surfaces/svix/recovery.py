"""Recovery: what an endpoint missed is sent to it, in the background. Also the emptying of all payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, status
from pydantic import Field

from hookline.jobs import BulkReplayForm, Window
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep, Scope
from hookline.server.surfaces.svix.background_tasks import TaskOut, render_task
from hookline.server.surfaces.svix.moments import read_moment
from hookline.server.surfaces.svix.shape import Shape

router = APIRouter(prefix="/app/{app_id}", tags=["Recovery"], route_class=AuthenticatedRoute, dependencies=[BEARER])

Moment = Annotated[datetime, Field(strict=False)]


class ReplayIn(Shape):
    """Messages that were made at or after `since` and before `until`, which is now unless it is given."""

    since: Moment
    until: Moment | None = None

    def window(self) -> Window:
        until = self.until
        return Window(read_moment(self.since, "since"), None if until is None else read_moment(until, "until"))


class BulkReplayIn(ReplayIn):
    """Those of them that fit all that is given. `status` is that of their delivery to this endpoint."""

    event_types: list[str] | None = None
    channel: str | None = None
    tag: str | None = None
    status: int | None = None
    status_code_class: int | None = None


@router.post(
    "/endpoint/{endpoint_id}/recover", status_code=status.HTTP_202_ACCEPTED, operation_id="v1.endpoint.recover"
)
async def recover(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: ReplayIn) -> TaskOut:
    """Try again what failed for good, each message on the endpoint's whole schedule."""
    return render_task(await runtime.tasks.recover(scope, endpoint_id, body.window()))


@router.post(
    "/endpoint/{endpoint_id}/replay-missing",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="v1.endpoint.replay-missing",
)
async def replay_missing(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: ReplayIn) -> TaskOut:
    """Send what the endpoint's filters match now and was never meant for it: it was disabled, or not yet there."""
    return render_task(await runtime.tasks.replay_missing(scope, endpoint_id, body.window()))


@router.post(
    "/endpoint/{endpoint_id}/bulk-replay", status_code=status.HTTP_202_ACCEPTED, operation_id="v1.endpoint.bulk-replay"
)
async def bulk_replay(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: BulkReplayIn) -> TaskOut:
    """Send again what the endpoint was sent, whatever became of it: one more attempt each."""
    form = BulkReplayForm(
        window=body.window(),
        event_types=None if body.event_types is None else tuple(body.event_types),
        channel=body.channel,
        tag=body.tag,
        status=body.status,
        status_class=body.status_code_class,
    )
    return render_task(await runtime.tasks.bulk_replay(scope, endpoint_id, form))


@router.post(
    "/msg/expunge-all-contents",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="v1.message.expunge-all-contents",
)
async def expunge_all_contents(runtime: RuntimeDep, caller: Caller, scope: Scope) -> TaskOut:
    """Empty the payloads of all messages that the application has now, and cancel what they still owe."""
    return render_task(await runtime.tasks.purge_content(caller, scope))
