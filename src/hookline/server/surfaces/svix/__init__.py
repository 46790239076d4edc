"""The Svix-compatible API: the main one. Routes and shapes only."""

from __future__ import annotations

from fastapi import APIRouter

from hookline.server.surfaces.svix import (
    applications,
    attempts,
    authentication,
    endpoints,
    event_types,
    health,
    messages,
    settings,
)

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX)
for _part in (health, authentication, applications, endpoints, event_types, messages, attempts, settings):
    router.include_router(_part.router)

__all__ = ["PREFIX", "router"]
