"""Every operation of the API, from its own table of routes: what is added to it is in here by itself."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from hookline.server.routing import AuthenticatedRoute
from hookline.server.surfaces import openai, svix


class Operation(NamedTuple):
    """`path` has placeholders, and no `/api/v1` in front."""

    id: str
    method: str
    path: str
    asks_who: bool


def list_operations() -> list[Operation]:
    """All of the main API that descriptions mention: HEAD beside GET is left out."""
    found = _list(svix.router, svix.PREFIX)
    assert len(found) > 30
    return found


def list_operations_of_all_surfaces() -> list[Operation]:
    """The same, and those of the vendors' APIs, each at its canonical address."""
    return [*list_operations(), *_list(openai.router, openai.CANONICAL)]


def _list(router: APIRouter, prefix: str) -> list[Operation]:
    found: list[Operation] = []
    for context in iter_route_contexts(router.routes):
        if not (context.path or "").startswith(prefix) or "/dashboard/" in (context.path or ""):
            continue  # the same at another address
        route = context.original_route
        assert isinstance(route, APIRoute)
        if route.include_in_schema:
            assert route.operation_id, context.path
            path = (context.path or "").removeprefix(prefix)
            [method] = route.methods
            found.append(Operation(route.operation_id, method, path, isinstance(route, AuthenticatedRoute)))
    assert len({operation.id for operation in found}) == len(found)
    return found
