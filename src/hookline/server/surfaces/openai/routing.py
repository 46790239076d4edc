"""What the routes of this surface share: who calls, which application is meant, and the ids of its objects.

Azure's clients send `api-key`, OpenAI's `Authorization: Bearer`; both name the same credentials. An organization's
credential works on its default application, one of an application on that.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from hookline.server.routing import AuthenticatedRoute, Caller, RuntimeDep
from hookline.store import AppScope


class OpenAIRoute(AuthenticatedRoute):
    """An `AuthenticatedRoute` that takes Azure's `api-key` as well."""

    def read_authorization(self, request: Request) -> str | None:
        key = request.headers.get("api-key")
        return super().read_authorization(request) if key is None else f"Bearer {key}"


async def _scope(runtime: RuntimeDep, caller: Caller) -> AppScope:
    return await runtime.applications.resolve_default(caller)


#: the application that a caller means who names none
DefaultScope = Annotated[AppScope, Depends(_scope)]
