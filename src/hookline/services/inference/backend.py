"""What a backend is asked, and what it can say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import msgspec

from hookline.services.errors import ServiceError


class BackendNotSetError(ServiceError):
    """The operator has named no backend."""

    code = "backend_not_set"

    def __init__(
        self,
        message: str = "No backend is set: models, responses and completions need HOOKLINE_OPENAI_BACKEND, the base "
        "URL of an OpenAI-compatible server, or `echo`.",
    ) -> None:
        super().__init__(message)


class BackendBusyError(ServiceError):
    """No usable answer now; the same request may get one later. `error_code` is OpenAI's word for it."""

    code = "backend_unavailable"

    def __init__(self, message: str, *, error_code: str = "server_error", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.retry_after_s = retry_after_s


class BackendRefusedError(ServiceError):
    """The backend does not take this request, and will not later. `error_code` is OpenAI's word for it."""

    code = "backend_refused"

    def __init__(self, message: str, *, error_code: str = "invalid_prompt") -> None:
        super().__init__(message)
        self.error_code = error_code


class Answer(msgspec.Struct, frozen=True):
    """How a response ended: `completed`, `incomplete` or `failed`, and the members of its object that say more."""

    status: str
    members: dict[str, Any]


class Forwarded(msgspec.Struct, frozen=True):
    """An answer that is passed on as it comes. Call `close` once, whether it was read or not."""

    status: int
    headers: dict[str, str]
    pieces: AsyncIterator[bytes]
    close: Callable[[], None]


class Backend(Protocol):
    async def respond(self, request: Mapping[str, Any]) -> Answer:
        """Answer the body of a request for a response, whole.

        Raises:
            BackendBusyError, BackendRefusedError, BackendNotSetError
        """
        ...

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        """Pass a request on, streamed; `path` begins with a slash. Raises as `respond`."""
        ...
