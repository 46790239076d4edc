"""Every error as an answer: status, headers, and a JSON body in the shape that Svix clients read.

    {"code": "not_found", "detail": "Entity not found"}
    422: {"detail": [{"loc": ["body", "url"], "msg": "...", "type": "value_error"}]}

Clients of that API parse every error as a JSON object, so there is no error without one: unknown paths, wrong methods
and our own faults included.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hookline.engine import EngineError, OverloadedError, StoppingError, UnknownApplicationError
from hookline.errors import HooklineError
from hookline.services import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    NotOfferedError,
    PayloadGoneError,
    PayloadTooLargeError,
    Problem,
)
from hookline.store import ConflictError as StoreConflictError
from hookline.store import StoreFullError, StoreUnavailableError

log = logging.getLogger("hookline.server")

RETRY_SOON: Final = {"retry-after": "1"}
RETRY_LATER: Final = {"retry-after": "5"}


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What a client gets instead of what it asked for."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}

    def to_response(self) -> Response:
        return Response(self.body, self.status, dict(self.headers), media_type="application/json")


def write_error(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> ErrorAnswer:
    """An answer in the plain shape."""
    return ErrorAnswer(status, orjson.dumps({"code": code, "detail": _safe(detail)}), headers or {})


def write_problems(problems: Sequence[tuple[Sequence[str | int], str, str]]) -> ErrorAnswer:
    """A 422: for each problem its location (`body`, then the path), what to do about it, and its kind."""
    detail = [
        {"loc": [_safe(part) if isinstance(part, str) else part for part in location], "msg": _safe(text), "type": kind}
        for location, text, kind in problems
    ]
    return ErrorAnswer(422, orjson.dumps({"detail": detail}))


def describe(error: HooklineError) -> ErrorAnswer:
    """The answer to an error that was raised on purpose."""
    text, code = error.message, error.code
    match error:
        case InvalidError():
            return write_problems(
                [((problem.place, *_on_the_wire(problem)), problem.message, problem.kind) for problem in error.problems]
            )
        case AuthenticationError():
            return write_error(401, code, text, {"www-authenticate": "Bearer"})
        case ForbiddenError():
            return write_error(403, code, text)
        case NotFoundError():
            return write_error(404, code, text)
        case UnknownApplicationError():
            return write_error(404, "not_found", "Entity not found")
        case ConflictError():
            return write_error(409, code, text)
        case StoreConflictError():
            return write_error(409, "conflict", text)
        case LimitReachedError() | PayloadGoneError():
            return write_error(400, code, text)
        case PayloadTooLargeError():
            return write_error(413, code, text)
        case OverloadedError() | StoppingError() | NotOfferedError():
            return write_error(503, code, text, RETRY_SOON)
        case StoreFullError():
            return write_error(507, code, "There is no space left to keep anything. Nothing was accepted.", RETRY_LATER)
        case StoreUnavailableError():
            # The store's own words may name hosts and files: they are for the log, not for customers.
            log.warning("answered 503", extra={"action": "store_unavailable", "reason": text})
            return write_error(503, code, "The database does not answer. Nothing was accepted; try again.", RETRY_LATER)
        case EngineError():
            log.error("engine refused", extra={"action": "engine_refused", "reason": text})
            return write_error(503, code, "The request cannot be served now. Try again.", RETRY_SOON)
        case _:
            log.error("unexpected error", exc_info=error, extra={"action": "unexpected_error"})
            return internal_error()


def too_large(max_body_bytes: int) -> ErrorAnswer:
    """More than we read, whatever it was to be."""
    return write_error(
        413, "payload_too_large", f"The request has more than {max_body_bytes} bytes. Send less at once."
    )


def internal_error() -> ErrorAnswer:
    """Our own fault. Says nothing of what happened: that is in the log, under the request's id."""
    return write_error(500, "server_error", "Internal server error")


async def handle_hookline_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HooklineError)
    return describe(error).to_response()


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Starlette's own errors: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 400: "generic_error", 413: "payload_too_large"}
    details = {404: "There is nothing at this path.", 405: "This path does not have this method."}
    return write_error(
        error.status_code,
        codes.get(error.status_code, "generic_error" if error.status_code < 500 else "server_error"),
        details.get(error.status_code, str(error.detail)),
        dict(error.headers or {}),
    ).to_response()


async def handle_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems: list[dict[str, Any]] = list(error.errors())
    return write_problems(
        [(list(problem["loc"]), str(problem["msg"]), str(problem["type"])) for problem in problems]
    ).to_response()


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HooklineError, handle_hookline_error)
    app.add_exception_handler(HTTPException, handle_http_error)
    app.add_exception_handler(RequestValidationError, handle_validation_error)


def _on_the_wire(problem: Problem) -> Sequence[str | int]:
    """The path as clients wrote it: members of bodies in camelCase, parameters and headers as they are."""
    if problem.place != "body":
        return (*problem.field, *problem.path)
    if problem.field[:1] == ("filter",):  # what is in it are the caller's own names
        return problem.field
    return [*(to_camel(part) if isinstance(part, str) else part for part in problem.field), *problem.path]


def _safe(text: str) -> str:
    """Text that can be written as UTF-8: what came in may hold half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode("utf-8")
