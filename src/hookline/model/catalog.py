"""What an organization says about its events: the types that there are, and which rules messages must keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec


class EventType(msgspec.Struct, frozen=True):
    """A name that messages may have, with JSON Schemas by version (`{"1": {...}}`) of what their payload looks like.

    An archived type takes no new messages where types are checked; endpoints that name it go on doing so. A type with
    `feature_flags` is seen by those customers only whose token carries one of them.
    """

    org_id: str
    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: Mapping[str, Any] | None
    feature_flags: tuple[str, ...] | None
    group_name: str | None
    created_at_ms: int
    updated_at_ms: int


class OrganizationSettings(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What an organization wants to be different from the default. A setting is added here, and nowhere else: the
    table keeps the members as JSON, and the API and its description are made from these very lines.
    """

    event_type_check: Annotated[
        Literal["off", "known"],
        msgspec.Meta(description="`known`: messages and endpoints that name an unknown or archived type are refused."),
    ] = "off"
    schema_validation: Annotated[
        Literal["off", "on"],
        msgspec.Meta(description="`on`: a payload must be valid by the newest schema of its event type."),
    ] = "off"
    endpoint_disable_after_s: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] | None,
        msgspec.Meta(
            description="Seconds of nothing but failures after which an endpoint is disabled; 0: never. Left out: as "
            "the operator has it."
        ),
    ] = None
    retention_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=3650)] | None,
        msgspec.Meta(
            description="Days after which messages and attempts are removed, if the operator keeps them longer."
        ),
    ] = None
    payload_retention_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=3650)] | None,
        msgspec.Meta(description="Days after which payloads are emptied, unless a message names a time of its own."),
    ] = None


class Organization(msgspec.Struct, frozen=True):
    """What is kept of an organization. `catalog_version` moves whenever its settings or its event types change."""

    id: str
    settings: OrganizationSettings
    catalog_version: int
