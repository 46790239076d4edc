"""`/api/v1/openapi.json`: the API's description with the event types that the caller sees, as `webhooks`.

The document that everybody may read, `/openapi.json`, has the operational ones only: what an organization sends is
nobody else's business.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from fastapi import APIRouter, Response

from hookline.model import EventType
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.paging import MAX_LIMIT
from hookline.server.surfaces.svix.webhook_description import describe_event_type
from hookline.services import Principal
from hookline.store import Page

router = APIRouter(tags=["Event Type"], route_class=AuthenticatedRoute, dependencies=[BEARER])

JSON: Final = "application/json"


@router.get(
    "/openapi.json",
    operation_id="v1.openapi.get",
    response_model=None,
    responses={200: {"description": "An OpenAPI 3.1 document.", "content": {JSON: {"schema": {"type": "object"}}}}},
)
async def get_openapi(runtime: RuntimeDep, caller: Caller) -> Response:
    """This description, with a webhook for each event type that the caller sees."""
    from hookline.server.description import describe  # noqa: PLC0415  (it describes this route, too)

    def write(event_types: list[EventType]) -> bytes:
        document = describe()
        for event_type in event_types:
            document["webhooks"][event_type.name] = describe_event_type(event_type)
        return msgspec.json.encode(document)

    # Examples are made by schemas, of which there may be thousands: seconds of work, and megabytes to hold.
    async with runtime.describing:
        content = await asyncio.to_thread(write, await _list_all(runtime, caller))
    return Response(content, media_type=JSON)


async def _list_all(runtime: Runtime, caller: Principal) -> list[EventType]:
    found: list[EventType] = []
    while True:
        page = Page(MAX_LIMIT, after=found[-1].name if found else None, ascending=True)
        rows = await runtime.event_types.list_page(caller, page)
        found += rows.rows
        if rows.done:
            return found
