"""The Svix-compatible API: the main one. Routes and shapes only."""

from __future__ import annotations

from fastapi import APIRouter

from hookline.server.surfaces.svix import (
    alert_rules,
    applications,
    attempts,
    authentication,
    background_tasks,
    description,
    endpoints,
    event_types,
    health,
    messages,
    operational_webhooks,
    recovery,
    settings,
    statistics,
    transformation,
)

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX)
_PARTS = (
    alert_rules,
    health,
    authentication,
    applications,
    endpoints,
    transformation,
    event_types,
    messages,
    attempts,
    recovery,
    settings,
    statistics,
    background_tasks,
    operational_webhooks,
    description,
)
for _part in _PARTS:
    router.include_router(_part.router)

__all__ = ["PREFIX", "router"]
