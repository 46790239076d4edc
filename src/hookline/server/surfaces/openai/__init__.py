"""OpenAI's and Azure OpenAI's API for webhooks and responses: routes and shapes only.

The same routes stand at every address that the official clients call: `OpenAI(base_url=".../v1")` and
`.../openai/v1`, `AzureOpenAI(azure_endpoint=...)` with its `/openai`, and Azure's documented `/dashboard`.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from hookline.server.errors import claim_paths
from hookline.server.surfaces.openai import endpoints, events, passing_on, responses
from hookline.server.surfaces.openai.errors import write_openai_fault

CANONICAL: Final = "/openai/v1"
PREFIXES: Final = (CANONICAL, "/v1", "/openai")

router = APIRouter(tags=["OpenAI"])
for _prefix in PREFIXES:
    for _part in (endpoints, events, responses, passing_on):
        router.include_router(_part.router, prefix=_prefix, include_in_schema=_prefix == CANONICAL)
    router.include_router(endpoints.router, prefix=f"{_prefix}/dashboard", include_in_schema=False)

claim_paths(("/openai/", "/v1/"), write_openai_fault)

__all__ = ["CANONICAL", "PREFIXES", "router"]
