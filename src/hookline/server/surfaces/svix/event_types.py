"""`/api/v1/event-type`: the catalog of what an organization sends."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response, status

from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, Organization, RuntimeDep
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order, name_iterators, read_named_page
from hookline.server.surfaces.svix.rendering import render_event_type
from hookline.server.surfaces.svix.shapes import (
    EventTypeFields,
    EventTypeImportData,
    EventTypeImported,
    EventTypeImportIn,
    EventTypeImportOut,
    EventTypeIn,
    EventTypeOut,
    EventTypePatch,
    EventTypeUpdate,
    ListOut,
)
from hookline.services import EventTypeForm, ImportedType
from hookline.services.errors import invalid

router = APIRouter(prefix="/event-type", tags=["Event Type"], route_class=AuthenticatedRoute, dependencies=[BEARER])

# What a member that is null means.
_EMPTY: Final[dict[str, Any]] = {
    "archived": False,
    "deprecated": False,
    "schemas": None,
    "feature_flags": None,
    "group_name": None,
}


@router.get("", operation_id="v1.event-type.list")
async def list_event_types(
    runtime: RuntimeDep,
    caller: Caller,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
    include_archived: Annotated[bool, Query(description="Whether archived ones are in the answer.")] = False,
    with_content: Annotated[bool, Query(description="Whether schemas are in the answer.")] = False,
) -> ListOut[EventTypeOut]:
    """By name."""
    page = read_named_page(limit, iterator, ascending=order != "descending")
    rows = await runtime.event_types.list_page(caller, page, with_archived=include_archived, with_schemas=with_content)
    following, previous = name_iterators([row.name for row in rows.rows])
    data = [render_event_type(row) for row in rows.rows]
    return ListOut(data=data, iterator=following, prev_iterator=previous, done=rows.done)


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="v1.event-type.create")
async def create_event_type(
    runtime: RuntimeDep, caller: Organization, body: EventTypeIn, response: Response
) -> EventTypeOut:
    """Create a type, or make an archived one anew."""
    event_type = await runtime.event_types.create(caller, body.name, read_event_type(body))
    response.headers["location"] = runtime.link(f"/api/v1/event-type/{event_type.name}")
    return render_event_type(event_type)


@router.post("/import/openapi", operation_id="v1.event-type.import-openapi")
async def import_openapi(runtime: RuntimeDep, caller: Organization, body: EventTypeImportIn) -> EventTypeImportOut:
    """Make an event type of each webhook that an OpenAPI document describes."""
    dry_run = bool(body.dry_run)
    changed = await runtime.event_types.import_openapi(
        caller, body.spec, body.spec_raw, dry_run=dry_run, replace_all=bool(body.replace_all)
    )
    data = EventTypeImportData(modified=[one.name for one in changed])
    if dry_run:
        data.to_modify = [_render_imported(one) for one in changed]
    return EventTypeImportOut(data=data)


def _render_imported(imported: ImportedType) -> EventTypeImported:
    form = imported.form
    return EventTypeImported(
        name=imported.name,
        description=form.description,
        deprecated=form.deprecated,
        schemas=None if form.schemas is None else dict(form.schemas),
        feature_flags=None if form.feature_flags is None else list(form.feature_flags),
        group_name=form.group_name,
    )


@router.get("/{event_type_name}", operation_id="v1.event-type.get")
async def get_event_type(runtime: RuntimeDep, caller: Caller, event_type_name: str) -> EventTypeOut:
    return render_event_type(await runtime.event_types.get(caller, event_type_name))


@router.put(
    "/{event_type_name}",
    operation_id="v1.event-type.update",
    responses={201: {"model": EventTypeOut, "description": "It was created."}},
)
async def update_event_type(
    runtime: RuntimeDep, caller: Organization, event_type_name: str, body: EventTypeUpdate, response: Response
) -> EventTypeOut:
    """Replace a type, or create it."""
    event_type, created = await runtime.event_types.put(caller, event_type_name, read_event_type(body))
    if created:
        response.status_code = status.HTTP_201_CREATED
        response.headers["location"] = runtime.link(f"/api/v1/event-type/{event_type.name}")
    return render_event_type(event_type)


@router.patch("/{event_type_name}", operation_id="v1.event-type.patch")
async def patch_event_type(
    runtime: RuntimeDep, caller: Organization, event_type_name: str, body: EventTypePatch
) -> EventTypeOut:
    """Change what is given; null empties."""
    stated = _stated(body)
    if "description" in stated and stated["description"] is None:
        raise invalid("description", "An event type has a description. Leave the member out to keep it.")
    updated = await runtime.event_types.update(
        caller, event_type_name, lambda event_type: msgspec.structs.replace(EventTypeForm.of(event_type), **stated)
    )
    return render_event_type(updated)


@router.delete("/{event_type_name}", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.event-type.delete")
async def delete_event_type(
    runtime: RuntimeDep,
    caller: Organization,
    event_type_name: str,
    expunge: Annotated[bool, Query(description="Remove it instead of archiving it.")] = False,
) -> None:
    await runtime.event_types.delete(caller, event_type_name, expunge=expunge)


def read_event_type(body: EventTypeIn | EventTypeUpdate) -> EventTypeForm:
    """The form of a type whose every member is said."""
    return msgspec.structs.replace(EventTypeForm(body.description), **_stated(body))


def _stated(body: EventTypeFields) -> dict[str, Any]:
    """The members that the body has, in the form's words. Of both forms of feature flags the newer one wins."""
    given = body.model_fields_set - {"name", "feature_flag"}
    stated = {name: getattr(body, name) for name in given}
    if "feature_flag" in body.model_fields_set and "feature_flags" not in given:
        stated["feature_flags"] = None if body.feature_flag is None else [body.feature_flag]
    if stated.get("feature_flags") is not None:
        stated["feature_flags"] = tuple(stated["feature_flags"])
    return {name: _EMPTY.get(name) if value is None else value for name, value in stated.items()}
