"""Every operation of the API, from its own table of routes: what is added to it is in here by itself."""

from __future__ import annotations

from typing import NamedTuple

from fastapi.routing import APIRoute, iter_route_contexts

from hookline.server.routing import AuthenticatedRoute
from hookline.server.surfaces import svix


class Operation(NamedTuple):
    """`path` has placeholders, and no `/api/v1` in front."""

    id: str
    method: str
    path: str
    asks_who: bool


def list_operations() -> list[Operation]:
    """All that descriptions mention: HEAD beside GET is left out."""
    found = []
    for context in iter_route_contexts(svix.router.routes):
        route = context.original_route
        assert isinstance(route, APIRoute)
        if route.include_in_schema:
            assert route.operation_id, context.path
            path = (context.path or "").removeprefix(svix.PREFIX)
            [method] = route.methods
            found.append(Operation(route.operation_id, method, path, isinstance(route, AuthenticatedRoute)))
    assert len(found) > 30
    assert len({operation.id for operation in found}) == len(found)
    return found
