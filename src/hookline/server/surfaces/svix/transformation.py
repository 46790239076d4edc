"""`/api/v1/app/{app_id}/endpoint/{endpoint_id}/transformation`: what is sent instead of the payload.

The routes and shapes are Svix's; the code is not JavaScript but a JMESPath expression, the endpoint's `transform`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, status
from pydantic import Field

from hookline.server.routing import BEARER, AuthenticatedRoute, RuntimeDep, Scope
from hookline.server.surfaces.svix.rendering import format_time
from hookline.server.surfaces.svix.shape import Shape
from hookline.services.errors import invalid

router = APIRouter(
    prefix="/app/{app_id}/endpoint/{endpoint_id}/transformation",
    tags=["Endpoint"],
    route_class=AuthenticatedRoute,
    dependencies=[BEARER],
)


class TransformationOut(Shape):
    code: str | None
    enabled: bool
    variables: dict[str, str]
    updated_at: str


class TransformationPatch(Shape):
    """What is left out stays; `code` that is null is removed."""

    code: Annotated[str | None, Field(description="A JMESPath expression.")] = None
    enabled: Annotated[bool | None, Field(description="Whether it is applied; true when there was none.")] = None
    variables: Annotated[dict[str, str] | None, Field(description="Must be empty: JMESPath has none.")] = None


@router.get("", operation_id="v1.endpoint.transformation-get")
async def get_transformation(runtime: RuntimeDep, scope: Scope, endpoint_id: str) -> TransformationOut:
    """What is sent to an endpoint instead of the payload."""
    endpoint = await runtime.endpoints.get(scope, endpoint_id)
    code = endpoint.extras.transform
    return TransformationOut(
        code=code,
        enabled=code is not None and endpoint.extras.transform_enabled,
        variables={},
        updated_at=format_time(endpoint.updated_at_ms),
    )


@router.patch("", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.endpoint.patch-transformation")
async def patch_transformation(runtime: RuntimeDep, scope: Scope, endpoint_id: str, body: TransformationPatch) -> None:
    """Set, switch or remove it."""
    if body.variables:
        raise invalid("variables", "JMESPath expressions have no variables. Leave the member out.")
    stated = {"code": body.code} if "code" in body.model_fields_set else {}
    await runtime.endpoints.set_transform(scope, endpoint_id, enabled=body.enabled, **stated)
