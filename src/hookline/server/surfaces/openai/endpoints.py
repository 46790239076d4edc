"""`.../webhook_endpoints`: the platform's management API for webhook endpoints."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from hookline.model.openai_events import SUBSCRIBABLE
from hookline.server.routing import BEARER, Caller, RuntimeDep
from hookline.server.surfaces.openai.routing import DefaultScope, OpenAIRoute
from hookline.server.surfaces.openai.shapes import (
    RotateSecretIn,
    TestIn,
    WebhookEndpointIn,
    read_endpoint_id,
    render_endpoint,
    write_endpoint_id,
)
from hookline.services.openai_endpoints import WebhookForm

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100

router = APIRouter(route_class=OpenAIRoute, dependencies=[BEARER])


@router.post("/webhook_endpoints", operation_id="openai.webhook-endpoint.create")
async def create(
    runtime: RuntimeDep,
    caller: Caller,
    scope: DefaultScope,
    body: WebhookEndpointIn,
    request: Request,
    answer: Response,
) -> dict[str, Any]:
    """Make a webhook endpoint. Its signing secret is in this answer only."""
    endpoint = await runtime.openai_endpoints.create(caller, scope, _form(body))
    answer.headers["cache-control"] = "no-store"
    return render_endpoint(endpoint, azure=_is_azure(request), with_secret=True)


@router.get("/webhook_endpoints", operation_id="openai.webhook-endpoint.list")
async def list_endpoints(
    runtime: RuntimeDep,
    scope: DefaultScope,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(description="The last id of the page before.")] = None,
) -> dict[str, Any]:
    """Webhook endpoints, newest first."""
    position = read_endpoint_id(after) if after else None
    endpoints, has_more = await runtime.openai_endpoints.list_page(scope, limit, position)
    data = [render_endpoint(endpoint, azure=_is_azure(request)) for endpoint in endpoints]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


@router.get("/webhook_endpoints/{endpoint_id}", operation_id="openai.webhook-endpoint.get")
async def retrieve(runtime: RuntimeDep, scope: DefaultScope, endpoint_id: str, request: Request) -> dict[str, Any]:
    endpoint = await runtime.openai_endpoints.get(scope, read_endpoint_id(endpoint_id))
    return render_endpoint(endpoint, azure=_is_azure(request))


@router.post("/webhook_endpoints/{endpoint_id}", operation_id="openai.webhook-endpoint.update")
async def update(
    runtime: RuntimeDep,
    caller: Caller,
    scope: DefaultScope,
    endpoint_id: str,
    body: WebhookEndpointIn,
    request: Request,
) -> dict[str, Any]:
    """Change name, URL or event types; the secret stays."""
    endpoint = await runtime.openai_endpoints.update(caller, scope, read_endpoint_id(endpoint_id), _form(body))
    return render_endpoint(endpoint, azure=_is_azure(request))


@router.delete("/webhook_endpoints/{endpoint_id}", operation_id="openai.webhook-endpoint.delete")
async def delete(runtime: RuntimeDep, scope: DefaultScope, endpoint_id: str) -> dict[str, Any]:
    identifier = read_endpoint_id(endpoint_id)
    await runtime.openai_endpoints.delete(scope, identifier)
    return {"id": write_endpoint_id(identifier), "object": "webhook_endpoint.deleted", "deleted": True}


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret", operation_id="openai.webhook-endpoint.rotate-secret")
async def rotate_secret(
    runtime: RuntimeDep,
    scope: DefaultScope,
    endpoint_id: str,
    request: Request,
    answer: Response,
    body: RotateSecretIn | None = None,
) -> dict[str, Any]:
    """Make a new secret, in this answer only; the old one can sign beside it for a day."""
    keep_old = body is not None and bool(body.keep_old_secret_active_for_24_hours)
    endpoint = await runtime.openai_endpoints.rotate_secret(scope, read_endpoint_id(endpoint_id), keep_old=keep_old)
    answer.headers["cache-control"] = "no-store"
    return render_endpoint(endpoint, azure=_is_azure(request), with_secret=True)


@router.post("/webhook_endpoints/{endpoint_id}/test", operation_id="openai.webhook-endpoint.test")
async def test(runtime: RuntimeDep, scope: DefaultScope, endpoint_id: str, body: TestIn) -> dict[str, Any]:
    """Send an example event now, and say what the endpoint answered."""
    identifier = read_endpoint_id(endpoint_id)
    status = await runtime.openai_endpoints.test(scope, identifier, body.event_type)
    return {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": write_endpoint_id(identifier),
        "event_type": body.event_type,
        "status_code": status,
        "success": True,
    }


@router.get("/webhook_event_types", operation_id="openai.webhook-event-type.list")
async def list_event_types() -> dict[str, Any]:
    """What a webhook endpoint may subscribe to."""
    return {"object": "list", "data": list(SUBSCRIBABLE)}


def _form(body: WebhookEndpointIn) -> WebhookForm:
    return WebhookForm(body.name, body.url, None if body.event_types is None else tuple(body.event_types))


def _is_azure(request: Request) -> bool:
    return "/dashboard/" in request.scope["path"]
