"""`/api/v1/app/{app_id}/endpoint`: endpoints, their secrets and headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Response, status

from hookline.model import Endpoint, ids
from hookline.server import jwks
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep, Scope, require_accepting
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.endpoint_body import read_created, read_patched, read_replaced
from hookline.server.surfaces.svix.eras import ROTATED_FOR_OLDER, OlderSdk
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order, iterators, read_page
from hookline.server.surfaces.svix.rendering import render_endpoint, render_health, write_message
from hookline.server.surfaces.svix.shapes import (
    EndpointIn,
    EndpointOut,
    EndpointPatch,
    EventExampleIn,
    HeadersIn,
    HeadersOut,
    HeadersPatch,
    ListOut,
    MessageOut,
    SecretOut,
    SecretRotateIn,
)
from hookline.services import (
    SENSITIVE_HEADERS,
    Capability,
    ExampleForm,
    NotFoundError,
    Principal,
    check_header_names,
    public_form,
    verifying_key,
)
from hookline.signatures import thumbprint
from hookline.store import AppScope

router = APIRouter(
    prefix="/app/{app_id}/endpoint", tags=["Endpoint"], route_class=AuthenticatedRoute, dependencies=[BEARER]
)


async def show_endpoints(
    runtime: Runtime, scope: AppScope, endpoints: Sequence[Endpoint], *, credentials: bool = True
) -> list[EndpointOut]:
    """Endpoints with their health, which takes one look for all of them."""
    health = await runtime.endpoints.health(scope, [endpoint.id for endpoint in endpoints])
    return [
        render_endpoint(endpoint, credentials=credentials).model_copy(
            update={"health": render_health(endpoint, health.get(endpoint.id))}
        )
        for endpoint in endpoints
    ]


async def _show(runtime: Runtime, scope: AppScope, endpoint: Endpoint) -> EndpointOut:
    [shown] = await show_endpoints(runtime, scope, [endpoint])
    return shown


@router.get("", operation_id="v1.endpoint.list")
async def list_endpoints(
    runtime: RuntimeDep,
    caller: Caller,
    scope: Scope,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
) -> ListOut[EndpointOut]:
    page = read_page(ids.ENDPOINT, limit, iterator, ascending=order == "ascending")
    rows = await runtime.endpoints.list_page(scope, page)
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    data = await show_endpoints(runtime, scope, rows.rows, credentials=caller.may(Capability.VIEW_ENDPOINT_SECRET))
    return ListOut(data=data, iterator=following, prev_iterator=previous, done=rows.done)


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="v1.endpoint.create")
async def create_endpoint(
    runtime: RuntimeDep, caller: Caller, scope: Scope, body: EndpointIn, response: Response
) -> EndpointOut:
    return await _create(runtime, caller, scope, body, response)


async def _create(
    runtime: Runtime, caller: Principal, scope: AppScope, body: EndpointIn, response: Response
) -> EndpointOut:
    endpoint = await runtime.endpoints.create(scope, read_created(body), principal=caller)
    response.headers["location"] = runtime.link(f"/api/v1/app/{endpoint.app_id}/endpoint/{endpoint.id}")
    return await _show(runtime, scope, endpoint)


@router.get("/{endpoint_id}", operation_id="v1.endpoint.get")
async def get_endpoint(runtime: RuntimeDep, caller: Caller, scope: Scope, endpoint_id: str) -> EndpointOut:
    endpoint = await runtime.endpoints.get(scope, endpoint_id)
    credentials = caller.may(Capability.VIEW_ENDPOINT_SECRET)
    [shown] = await show_endpoints(runtime, scope, [endpoint], credentials=credentials)
    return shown


@router.put(
    "/{endpoint_id}",
    operation_id="v1.endpoint.update",
    responses={201: {"model": EndpointOut, "description": "It was created."}},
)
async def update_endpoint(
    runtime: RuntimeDep, caller: Caller, scope: Scope, endpoint_id: str, body: EndpointIn, response: Response
) -> EndpointOut:
    """Replace an endpoint, or create it. Secret, headers and what Svix does not know stay unless they are given."""
    if await runtime.endpoints.find(scope, endpoint_id) is None:
        response.status_code = status.HTTP_201_CREATED
        return await _create(runtime, caller, scope, body, response)
    updated = await runtime.endpoints.update(scope, endpoint_id, lambda endpoint: read_replaced(endpoint, body))
    return await _show(runtime, scope, updated)


@router.patch("/{endpoint_id}", operation_id="v1.endpoint.patch")
async def patch_endpoint(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: EndpointPatch) -> EndpointOut:
    updated = await runtime.endpoints.update(scope, endpoint_id, lambda endpoint: read_patched(endpoint, body))
    return await _show(runtime, scope, updated)


@router.delete("/{endpoint_id}", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.endpoint.delete")
async def delete_endpoint(runtime: RuntimeDep, scope: Scope, endpoint_id: str) -> None:
    await runtime.endpoints.delete(scope, endpoint_id)


@router.get("/{endpoint_id}/secret", operation_id="v1.endpoint.get-secret")
async def get_secret(runtime: RuntimeDep, scope: Scope, endpoint_id: str, response: Response) -> SecretOut:
    """What the receiver verifies with: the shared secret, or the public half of an Ed25519 key."""
    endpoint = await runtime.endpoints.get(scope, endpoint_id)
    response.headers["cache-control"] = "no-store"
    if not endpoint.secrets:
        raise NotFoundError("This endpoint has no secret: what is sent to it is not signed.")
    return _secret_of(runtime, endpoint)


def _secret_of(runtime: Runtime, endpoint: Endpoint) -> SecretOut:
    current = endpoint.secrets[0].key
    public = verifying_key(current)
    if public is None:
        return SecretOut(key=public_form(current))
    link = runtime.link(jwks.link_to(endpoint.app_id, endpoint.id))
    return SecretOut(key=public.to_text(), kid=thumbprint(public), jwks_url=link)


@router.post(
    "/{endpoint_id}/secret/rotate",
    operation_id="v1.endpoint.rotate-secret",
    response_model=SecretOut,
    responses=ROTATED_FOR_OLDER,
)
async def rotate_secret(
    runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: SecretRotateIn, response: Response, older: OlderSdk
) -> SecretOut | Response:
    """Sign with a new secret; the old one signs beside it for a period of grace."""
    endpoint = await runtime.endpoints.rotate_secret(
        scope, endpoint_id, key=body.key, grace_s=body.grace_period_seconds
    )
    if older:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    response.headers["cache-control"] = "no-store"
    return _secret_of(runtime, endpoint)


@router.post(
    "/{endpoint_id}/send-example",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="v1.endpoint.send-example",
    response_model=MessageOut,
)
async def send_example(
    runtime: RuntimeDep, caller: Caller, scope: Scope, endpoint_id: str, body: EventExampleIn
) -> Response:
    """Send an example of an event to this endpoint alone: the schema's own, or one made by the schema."""
    require_accepting(runtime)
    form = ExampleForm(body.event_type, body.example_index, body.payload)
    message = await runtime.examples.send(caller, scope, endpoint_id, form)
    content = write_message(message, with_content=True)
    return Response(content, status.HTTP_202_ACCEPTED, media_type="application/json")


@router.get("/{endpoint_id}/headers", operation_id="v1.endpoint.get-headers")
async def get_headers(runtime: RuntimeDep, caller: Caller, scope: Scope, endpoint_id: str) -> HeadersOut:
    """The custom headers; of those that carry credentials, and for callers who may see no secret, only the names."""
    headers = (await runtime.endpoints.get(scope, endpoint_id)).headers
    shown = caller.may(Capability.VIEW_ENDPOINT_SECRET)
    sensitive = [name for name in headers if not shown or name.lower() in SENSITIVE_HEADERS]
    return HeadersOut(
        headers={name: value for name, value in headers.items() if name not in sensitive}, sensitive=sensitive
    )


@router.put("/{endpoint_id}/headers", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.endpoint.update-headers")
async def update_headers(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: HeadersIn) -> None:
    await runtime.endpoints.set_headers(scope, endpoint_id, lambda _: body.headers)


@router.patch(
    "/{endpoint_id}/headers", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.endpoint.patch-headers"
)
async def patch_headers(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: HeadersPatch) -> None:
    """Add or replace headers; null, or a name in `deleteHeaders`, removes one. Names match in any case."""
    check_header_names(body.delete_headers or (), "delete_headers")
    mentioned = {name.lower() for name in (*body.headers, *(body.delete_headers or ()))}
    stated = {name: value for name, value in body.headers.items() if value is not None}

    def fill(headers: Mapping[str, str]) -> Mapping[str, str]:
        return {name: value for name, value in headers.items() if name.lower() not in mentioned} | stated

    await runtime.endpoints.set_headers(scope, endpoint_id, fill)
