"""Answers to OpenAI's requests: from the operator's backend, or from the embedded one that only echoes.

backend = build_backend("http://127.0.0.1:11434/v1", fetcher, key=None, timeout_s=600)
answer = await backend.respond({"model": "llama3.2", "input": "Hello"})
"""

from __future__ import annotations

from hookline.egress import Fetcher
from hookline.services.inference.backend import (
    Answer,
    Backend,
    BackendBusyError,
    BackendNotSetError,
    BackendRefusedError,
    Forwarded,
)
from hookline.services.inference.echo import EchoBackend
from hookline.services.inference.http import HttpBackend
from hookline.services.inference.unset import UnsetBackend

ECHO = "echo"

__all__ = [
    "ECHO",
    "Answer",
    "Backend",
    "BackendBusyError",
    "BackendNotSetError",
    "BackendRefusedError",
    "EchoBackend",
    "Forwarded",
    "HttpBackend",
    "UnsetBackend",
    "build_backend",
]


def build_backend(address: str | None, fetcher: Fetcher, *, key: str | None, timeout_s: float) -> Backend:
    """The backend of a setting: a base URL, `echo`, or nothing."""
    if address is None:
        return UnsetBackend()
    return EchoBackend() if address == ECHO else HttpBackend(address, fetcher, key=key, timeout_s=timeout_s)
