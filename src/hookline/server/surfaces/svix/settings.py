"""`/api/v1/settings`: what an organization sets for itself. Hookline's own; Svix has no such route.

The members, their values and their description come from `model.OrganizationSettings`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response

from hookline.model import OrganizationSettings
from hookline.server.routing import BEARER, AuthenticatedRoute, Organization, RuntimeDep

router = APIRouter(prefix="/settings", tags=["Settings"], route_class=AuthenticatedRoute, dependencies=[BEARER])

JSON: Final = "application/json"


def _describe() -> dict[str, Any]:
    """The members as JSON Schema, without the struct's own words, which are for developers."""
    ((_, schema),) = msgspec.json.schema_components([OrganizationSettings])[1].items()
    return {"type": "object", "title": "OrganizationSettings", "properties": schema["properties"]}


_SCHEMA: Final = _describe()
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All settings as they are now.", "content": {JSON: {"schema": _SCHEMA}}}
}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: {"anyOf": [member, {"type": "null"}], "description": member.get("description", "")}
        for name, member in schema["properties"].items()
    }
    return {**schema, "title": "OrganizationSettingsPatch", "properties": properties}


@router.get("", operation_id="v1.settings.get", response_model=None, responses=_ANSWER)
async def get_settings(runtime: RuntimeDep, caller: Organization) -> Response:
    """What this organization has set, and the defaults of all else."""
    return _write(await runtime.organizations.settings(caller))


@router.patch(
    "",
    operation_id="v1.settings.patch",
    response_model=None,
    responses=_ANSWER,
    openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": _nullable(_SCHEMA)}}}},
)
async def patch_settings(runtime: RuntimeDep, caller: Organization, body: dict[str, Any]) -> Response:
    """Change what is given; null sets back to the default. Takes effect within seconds on every node."""
    return _write(await runtime.organizations.change(caller, body))


def _write(settings: OrganizationSettings) -> Response:
    members = {
        field.encode_name: getattr(settings, field.name) for field in msgspec.structs.fields(OrganizationSettings)
    }
    return Response(msgspec.json.encode(members), media_type=JSON)
