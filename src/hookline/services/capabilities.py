"""What a customer's token may do, in the names of the Svix API (`AppPortalCapability`).

Some contain others: whoever manages endpoints may do so with their secrets and transformations too. A token that is
read-only changes nothing, whatever else it says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Capability(StrEnum):
    VIEW_BASE = "ViewBase"  # read everything but secrets
    VIEW_ENDPOINT_SECRET = "ViewEndpointSecret"  # noqa: S105 -- a name, no secret
    MANAGE_ENDPOINT_SECRET = "ManageEndpointSecret"  # noqa: S105
    MANAGE_TRANSFORMATIONS = "ManageTransformations"
    CREATE_ATTEMPTS = "CreateAttempts"  # resend, recover, replay, send an example
    MANAGE_ENDPOINT = "ManageEndpoint"


ALL: Final = frozenset(Capability)
READING: Final = frozenset({Capability.VIEW_BASE, Capability.VIEW_ENDPOINT_SECRET})

_GRANTED_BY: Final = {
    Capability.VIEW_BASE: frozenset({Capability.VIEW_BASE}),
    Capability.VIEW_ENDPOINT_SECRET: frozenset(
        {Capability.VIEW_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT}
    ),
    Capability.MANAGE_ENDPOINT_SECRET: frozenset({Capability.MANAGE_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT}),
    Capability.MANAGE_TRANSFORMATIONS: frozenset({Capability.MANAGE_TRANSFORMATIONS, Capability.MANAGE_ENDPOINT}),
    Capability.CREATE_ATTEMPTS: frozenset({Capability.CREATE_ATTEMPTS}),
    Capability.MANAGE_ENDPOINT: frozenset({Capability.MANAGE_ENDPOINT}),
}


def allows(granted: frozenset[Capability], wanted: Capability, *, read_only: bool) -> bool:
    """Whether somebody with these capabilities may do what takes `wanted`."""
    if read_only and wanted not in READING:
        return False
    return not granted.isdisjoint(_GRANTED_BY[wanted])
