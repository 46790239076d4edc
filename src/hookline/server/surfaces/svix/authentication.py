"""`/api/v1/auth`: tokens for customers, and their end."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request, Response, status
from pydantic import Field

from hookline.server.auth import read_bearer
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep, Scope
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.application_body import read_application_form
from hookline.server.surfaces.svix.shape import Shape
from hookline.server.surfaces.svix.shapes import ApplicationIn
from hookline.services import AccessForm
from hookline.store import AppScope

router = APIRouter(prefix="/auth", tags=["Authentication"], route_class=AuthenticatedRoute, dependencies=[BEARER])


class AppPortalAccessIn(Shape):
    """What a token may do, and for how long."""

    feature_flags: Annotated[
        list[str] | None, Field(description="Event types with one of these flags are shown as well.")
    ] = None
    application: Annotated[
        ApplicationIn | None, Field(description="Made first, if the uid in the path does not exist yet.")
    ] = None
    expiry: Annotated[
        int | None, Field(description="Seconds until it ends: an hour to 28 days. By default 7 days.")
    ] = None
    capabilities: Annotated[
        list[str] | None,
        Field(
            description="`ViewBase` (always required), `ViewEndpointSecret`, `ManageEndpointSecret`, "
            "`ManageTransformations`, `CreateAttempts`, `ManageEndpoint`. All by default."
        ),
    ] = None
    read_only: Annotated[bool | None, Field(description="It changes nothing, and by default sees no secret.")] = None
    session_id: Annotated[str | None, Field(description="A name by which `expire-all` finds it.")] = None


class AppPortalAccessOut(Shape):
    url: str
    token: Annotated[str, Field(repr=False)]


class ApplicationTokenExpireIn(Shape):
    expiry: Annotated[int | None, Field(description="Seconds for which they go on working. By default none.")] = None
    session_ids: Annotated[list[str] | None, Field(description="Only tokens of these sessions.")] = None


@router.post("/app-portal-access/{app_id}", operation_id="v1.authentication.app-portal-access")
async def app_portal_access(
    runtime: RuntimeDep, caller: Caller, app_id: str, body: AppPortalAccessIn, response: Response
) -> AppPortalAccessOut:
    """A token for one application, and an address for its bearer's browser."""
    form = None if body.application is None else read_application_form(body.application)
    scope = await runtime.applications.resolve_or_create(caller, app_id, form)
    access = AccessForm(body.expiry, body.capabilities, bool(body.read_only), body.feature_flags or (), body.session_id)
    return await _grant(runtime, scope, access, response)


@router.post(
    "/dashboard-access/{app_id}",  # noqa: FAST003 -- `Scope` reads it
    operation_id="v1.authentication.dashboard-access",
    deprecated=True,
)
async def dashboard_access(runtime: RuntimeDep, scope: Scope, response: Response) -> AppPortalAccessOut:
    """The older name of `app-portal-access`: a token that may do everything in its application."""
    return await _grant(runtime, scope, AccessForm(), response)


@router.post(
    "/app/{app_id}/expire-all",  # noqa: FAST003 -- `Scope` reads it
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="v1.authentication.expire-all",
)
async def expire_all(runtime: RuntimeDep, scope: Scope, body: ApplicationTokenExpireIn) -> None:
    """End all tokens of an application that were made until now, on every node within five seconds."""
    await runtime.sessions.expire_all(scope, body.session_ids, body.expiry)
    runtime.authenticator.forget(scope.app_id)


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.authentication.logout")
async def log_out(runtime: RuntimeDep, caller: Caller, request: Request) -> None:
    """End the token that this request bears: one of an application. Other credentials cannot be logged out."""
    await runtime.sessions.log_out(caller, read_bearer(request.headers.get("authorization")))
    runtime.authenticator.forget(caller.app_id)


async def _grant(runtime: Runtime, scope: AppScope, form: AccessForm, response: Response) -> AppPortalAccessOut:
    token = await runtime.sessions.grant(scope, form)
    response.headers["cache-control"] = "no-store"
    # In the fragment: what stands there reaches no server and no log of one.
    return AppPortalAccessOut(url=f"{runtime.portal_url}#token={quote(token)}", token=token)
