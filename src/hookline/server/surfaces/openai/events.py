"""`POST .../events`: a producer's call to send any event of the platform, such as an incoming call."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request

from hookline.model.ids import hex_of
from hookline.server.routing import BEARER, RuntimeDep, Sender
from hookline.server.surfaces.openai.routing import DefaultScope, OpenAIRoute
from hookline.server.surfaces.openai.shapes import EventIn
from hookline.services import MessageForm

router = APIRouter(route_class=OpenAIRoute, dependencies=[BEARER])


@router.post("/events", operation_id="openai.event.create")
async def create(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    scope: DefaultScope,
    body: EventIn,
    request: Request,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Send an event. It is on disk, and owed to every endpoint that wants it, before this answers."""
    form = MessageForm(body.type, orjson.dumps(body.data), body.id)
    message = await runtime.messages.create(scope, form, request=await request.body(), idempotency_key=idempotency_key)
    return {
        "id": f"evt_{hex_of(message.id)}",
        "object": "event",
        "type": message.event_type,
        "created_at": message.created_at_ms // 1000,
        "data": orjson.loads(message.payload) if message.payload else {},
    }
