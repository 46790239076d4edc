"""`/api/v1/operational-webhook/endpoint`: where an organization hears of its own endpoints and deliveries.

Endpoints like all others, of the operations application, which is made when the first one is.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from hookline.server.routing import BEARER, AuthenticatedRoute, Organization, RuntimeDep
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix import endpoints
from hookline.server.surfaces.svix.endpoint_body import read_created, read_patched, read_replaced
from hookline.server.surfaces.svix.eras import ROTATED_FOR_OLDER, OlderSdk
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order
from hookline.server.surfaces.svix.shapes import (
    EndpointIn,
    EndpointOut,
    EndpointPatch,
    HeadersIn,
    HeadersOut,
    ListOut,
    SecretOut,
    SecretRotateIn,
)
from hookline.services import EndpointForm, NotFoundError, Principal, check_operational_types
from hookline.store import AppScope

PATH = "/operational-webhook/endpoint"

router = APIRouter(prefix=PATH, tags=["Operational Webhook"], route_class=AuthenticatedRoute, dependencies=[BEARER])


async def _scope(runtime: RuntimeDep, caller: Organization) -> AppScope:
    scope = await runtime.operations.find_scope(caller)
    if scope is None:
        raise NotFoundError
    return scope


#: the operations application, if there is one
Scope = Annotated[AppScope, Depends(_scope)]


@router.get("", operation_id="v1.operational-webhook.endpoint.list")
async def list_endpoints(
    runtime: RuntimeDep,
    caller: Organization,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
) -> ListOut[EndpointOut]:
    scope = await runtime.operations.find_scope(caller)
    if scope is None:
        return ListOut(data=[], iterator=None, done=True)
    return await endpoints.list_endpoints(runtime, caller, scope, limit, iterator, order)


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="v1.operational-webhook.endpoint.create")
async def create_endpoint(
    runtime: RuntimeDep, caller: Organization, body: EndpointIn, response: Response
) -> EndpointOut:
    return await _create(runtime, caller, body, response)


async def _create(runtime: Runtime, caller: Principal, body: EndpointIn, response: Response) -> EndpointOut:
    form = _checked(read_created(body))
    scope = await runtime.operations.make_scope(caller)
    endpoint = await runtime.endpoints.create(scope, form, principal=caller)
    response.headers["location"] = runtime.link(f"/api/v1{PATH}/{endpoint.id}")
    [shown] = await endpoints.show_endpoints(runtime, scope, [endpoint])
    return shown


def _checked(form: EndpointForm) -> EndpointForm:
    check_operational_types(form.event_types)
    return form


@router.get("/{endpoint_id}", operation_id="v1.operational-webhook.endpoint.get")
async def get_endpoint(runtime: RuntimeDep, caller: Organization, scope: Scope, endpoint_id: str) -> EndpointOut:
    return await endpoints.get_endpoint(runtime, caller, scope, endpoint_id)


@router.put(
    "/{endpoint_id}",
    operation_id="v1.operational-webhook.endpoint.update",
    responses={201: {"model": EndpointOut, "description": "It was created."}},
)
async def update_endpoint(
    runtime: RuntimeDep, caller: Organization, endpoint_id: str, body: EndpointIn, response: Response
) -> EndpointOut:
    """Replace an endpoint, or create it. Secret, headers and what Svix does not know stay unless they are given."""
    scope = await runtime.operations.find_scope(caller)
    if scope is None or await runtime.endpoints.find(scope, endpoint_id) is None:
        response.status_code = status.HTTP_201_CREATED
        return await _create(runtime, caller, body, response)
    updated = await runtime.endpoints.update(
        scope, endpoint_id, lambda endpoint: _checked(read_replaced(endpoint, body))
    )
    [shown] = await endpoints.show_endpoints(runtime, scope, [updated])
    return shown


@router.patch("/{endpoint_id}", operation_id="v1.operational-webhook.endpoint.patch")
async def patch_endpoint(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: EndpointPatch) -> EndpointOut:
    updated = await runtime.endpoints.update(
        scope, endpoint_id, lambda endpoint: _checked(read_patched(endpoint, body))
    )
    [shown] = await endpoints.show_endpoints(runtime, scope, [updated])
    return shown


@router.delete(
    "/{endpoint_id}", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.operational-webhook.endpoint.delete"
)
async def delete_endpoint(runtime: RuntimeDep, scope: Scope, endpoint_id: str) -> None:
    await runtime.endpoints.delete(scope, endpoint_id)


@router.get("/{endpoint_id}/secret", operation_id="v1.operational-webhook.endpoint.get-secret")
async def get_secret(runtime: RuntimeDep, scope: Scope, endpoint_id: str, response: Response) -> SecretOut:
    """What the receiver verifies with: the shared secret, or the public half of an Ed25519 key."""
    return await endpoints.get_secret(runtime, scope, endpoint_id, response)


@router.post(
    "/{endpoint_id}/secret/rotate",
    operation_id="v1.operational-webhook.endpoint.rotate-secret",
    response_model=SecretOut,
    responses=ROTATED_FOR_OLDER,
)
async def rotate_secret(
    runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: SecretRotateIn, response: Response, older: OlderSdk
) -> SecretOut | Response:
    """Sign with a new secret; the old one signs beside it for a period of grace."""
    return await endpoints.rotate_secret(runtime, scope, endpoint_id, body, response, older)


@router.get("/{endpoint_id}/headers", operation_id="v1.operational-webhook.endpoint.get-headers")
async def get_headers(runtime: RuntimeDep, caller: Organization, scope: Scope, endpoint_id: str) -> HeadersOut:
    """The custom headers; of those that carry credentials only the names."""
    return await endpoints.get_headers(runtime, caller, scope, endpoint_id)


@router.put(
    "/{endpoint_id}/headers",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="v1.operational-webhook.endpoint.update-headers",
)
async def update_headers(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: HeadersIn) -> None:
    await endpoints.update_headers(runtime, scope, endpoint_id, body)
