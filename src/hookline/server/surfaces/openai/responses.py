"""`.../responses`: in the background kept and worked on here, in the foreground passed on to the backend."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import JSONResponse, Response

from hookline.model.jobs import Job
from hookline.server.routing import BEARER, RuntimeDep, Sender
from hookline.server.runtime import Runtime
from hookline.server.surfaces.openai.passing_on import ForwardedResponse
from hookline.server.surfaces.openai.response_shapes import render_foreground, render_input_items, render_response
from hookline.server.surfaces.openai.routing import DefaultScope, OpenAIRoute
from hookline.services.errors import invalid
from hookline.services.inference import BackendNotSetError, UnsetBackend

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_MISSING: Final = frozenset({404, 405, 501})
_EXAMPLE: Final = {"model": "llama3.2", "input": "Say hello.", "background": True}

router = APIRouter(route_class=OpenAIRoute, dependencies=[BEARER])


def _require_backend(runtime: Runtime) -> None:
    if isinstance(runtime.backend, UnsetBackend):
        raise BackendNotSetError


@router.post("/responses", operation_id="openai.response.create", response_model=None)
async def create(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    scope: DefaultScope,
    body: Annotated[dict[str, Any], Body(examples=[_EXAMPLE])],
    request: Request,
) -> Response:
    """Ask a model. With `background` the request is on disk before this answers `queued`; its end is an event."""
    _require_backend(runtime)
    if not isinstance(body.get("background"), bool | None):
        raise invalid("background", "Give true or false.", "invalid_type")
    if body.get("background"):
        return JSONResponse(render_response(await runtime.responses.create(scope, body)))
    forwarded = await runtime.backend.forward("POST", "/responses", await request.body())
    if forwarded.status not in _MISSING or body.get("stream"):
        return ForwardedResponse(forwarded)
    forwarded.close()
    answer = await runtime.backend.respond(body)
    made_at_s = runtime.clock.now_ms() // 1000
    return JSONResponse(render_foreground(f"resp_{secrets.token_hex(16)}", made_at_s, body, answer))


@router.get("/responses/{response_id}", operation_id="openai.response.get")
async def retrieve(
    runtime: RuntimeDep, scope: DefaultScope, response_id: str, stream: bool | None = None
) -> dict[str, Any]:
    """A background response as it stands."""
    _require_backend(runtime)
    if stream:
        raise invalid("stream", "A background response cannot be streamed here: poll it, or wait for its event.")
    return render_response(await runtime.responses.get(scope, response_id))


@router.post("/responses/{response_id}/cancel", operation_id="openai.response.cancel")
async def cancel(runtime: RuntimeDep, scope: DefaultScope, response_id: str) -> dict[str, Any]:
    """Call a background response off. One that has ended stays as it is."""
    _require_backend(runtime)
    return render_response(await runtime.responses.cancel(scope, response_id))


@router.delete("/responses/{response_id}", operation_id="openai.response.delete")
async def delete(runtime: RuntimeDep, scope: DefaultScope, response_id: str) -> dict[str, Any]:
    """Remove a background response; one that is not done is cancelled first."""
    _require_backend(runtime)
    await runtime.responses.delete(scope, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/responses/{response_id}/input_items", operation_id="openai.response.list-input-items")
async def list_input_items(
    runtime: RuntimeDep,
    scope: DefaultScope,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(description="The last id of the page before.")] = None,
    order: Literal["asc", "desc"] = "desc",
) -> dict[str, Any]:
    """What a background response was asked with."""
    _require_backend(runtime)
    return _page(await runtime.responses.get(scope, response_id), limit, after, order)


def _page(job: Job, limit: int, after: str | None, order: str) -> dict[str, Any]:
    items = render_input_items(job)
    if order == "desc":
        items.reverse()
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise invalid("after", "Not the id of an item of this response.", place="query")
        items = items[places[0] + 1 :]
    shown = items[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(items) > limit,
    }
