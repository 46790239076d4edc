"""`/api/v1/app`: applications."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response, status

from hookline.model import ids
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, Organization, RuntimeDep
from hookline.server.surfaces.svix.application_body import read_application_form
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order, iterators, read_page
from hookline.server.surfaces.svix.rendering import render_application
from hookline.server.surfaces.svix.shapes import ApplicationIn, ApplicationOut, ApplicationPatch, ListOut
from hookline.services import ApplicationForm, NotFoundError
from hookline.services.errors import invalid

router = APIRouter(prefix="/app", tags=["Application"], route_class=AuthenticatedRoute, dependencies=[BEARER])

_RENAMED: Final = {"rate_limit": "throttle_rate"}


@router.get("", operation_id="v1.application.list")
async def list_applications(
    runtime: RuntimeDep,
    caller: Organization,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
) -> ListOut[ApplicationOut]:
    page = read_page(ids.APPLICATION, limit, iterator, ascending=order != "descending")
    rows = await runtime.applications.list_page(caller, page)
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    data = [render_application(row) for row in rows.rows]
    return ListOut(data=data, iterator=following, prev_iterator=previous, done=rows.done)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    operation_id="v1.application.create",
    responses={200: {"model": ApplicationOut, "description": "It was there already (`get_if_exists`)."}},
)
async def create_application(
    runtime: RuntimeDep,
    caller: Organization,
    body: ApplicationIn,
    response: Response,
    get_if_exists: Annotated[bool, Query(description="Answer with the application that has this uid.")] = False,
) -> ApplicationOut:
    application, created = await runtime.applications.create(
        caller, read_application_form(body), get_if_exists=get_if_exists
    )
    if created:
        response.headers["location"] = runtime.link(f"/api/v1/app/{application.id}")
    else:
        response.status_code = status.HTTP_200_OK
    return render_application(application)


@router.get("/{app_id}", operation_id="v1.application.get")
async def get_application(runtime: RuntimeDep, caller: Caller, app_id: str) -> ApplicationOut:
    return render_application(await runtime.applications.get(caller, app_id))


@router.put(
    "/{app_id}",
    operation_id="v1.application.update",
    responses={201: {"model": ApplicationOut, "description": "It was created."}},
)
async def update_application(
    runtime: RuntimeDep, caller: Organization, app_id: str, body: ApplicationIn, response: Response
) -> ApplicationOut:
    """Replace an application, or create it."""
    try:
        application = await runtime.applications.get(caller, app_id)
    except NotFoundError:
        application, _ = await runtime.applications.create(caller, read_application_form(body))
        response.status_code = status.HTTP_201_CREATED
        response.headers["location"] = runtime.link(f"/api/v1/app/{application.id}")
        return render_application(application)
    form = read_application_form(body)
    return render_application(await runtime.applications.update(caller, application.id, lambda _: form))


@router.patch("/{app_id}", operation_id="v1.application.patch")
async def patch_application(
    runtime: RuntimeDep, caller: Organization, app_id: str, body: ApplicationPatch
) -> ApplicationOut:
    updated = await runtime.applications.update(
        caller, app_id, lambda application: _patched(ApplicationForm.of(application), body)
    )
    return render_application(updated)


@router.delete("/{app_id}", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.application.delete")
async def delete_application(runtime: RuntimeDep, caller: Organization, app_id: str) -> None:
    runtime.authenticator.forget(await runtime.applications.delete(caller, app_id))


def _patched(form: ApplicationForm, body: ApplicationPatch) -> ApplicationForm:
    """What the body says replaces; what it leaves out stays; null empties what may be empty."""
    stated: dict[str, Any] = {}
    for name in body.model_fields_set:
        stated[_RENAMED.get(name, name)] = getattr(body, name)
    if "name" in stated and stated["name"] is None:
        raise invalid("name", "An application has a name. Leave the member out to keep it.")
    if "metadata" in stated:
        stated["metadata"] = stated["metadata"] or {}
    return msgspec.structs.replace(form, **stated)
