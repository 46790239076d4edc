"""No backend: everything says which setting names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookline.services.inference.backend import Answer, BackendNotSetError, Forwarded


class UnsetBackend:
    async def respond(self, request: Mapping[str, Any]) -> Answer:  # noqa: ARG002
        raise BackendNotSetError

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:  # noqa: ARG002
        raise BackendNotSetError
