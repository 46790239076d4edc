"""Every fault as an answer: a JSON body in the shape that the clients of the called surface read.

    {"code": "not_found", "detail": "Entity not found"}
    422: {"detail": [{"loc": ["body", "url"], "msg": "...", "type": "value_error"}]}

That is the main API's shape, and what everything has that no surface claims. Clients parse every error as a JSON
object, so there is no error without one: unknown paths, wrong methods and our own faults included. A surface with
another shape names the paths that are its own with `claim_paths`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hookline.errors import HooklineError
from hookline.server import faults
from hookline.server.faults import INTERNAL, Fault
from hookline.services import Problem

# What somebody made up comes back in an answer, but not at any length.
MAX_NAME_LENGTH: Final = 256
MAX_SENTENCE_LENGTH: Final = 1_000


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What a client gets instead of what it asked for."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}

    def to_response(self) -> Response:
        return Response(self.body, self.status, dict(self.headers), media_type="application/json")


ErrorShape = Callable[[Fault], ErrorAnswer]

_SHAPES: Final[list[tuple[tuple[str, ...], ErrorShape]]] = []


def claim_paths(prefixes: Sequence[str], shape: ErrorShape) -> None:
    """Errors at paths that begin so are written in this shape."""
    _SHAPES.append((tuple(prefixes), shape))


def shape_of(path: str) -> ErrorShape:
    """How errors at a path are written."""
    for prefixes, shape in _SHAPES:
        if path.startswith(prefixes):
            return shape
    return write_fault


def write_fault(fault: Fault) -> ErrorAnswer:
    """A fault in the main API's shape."""
    detail: Any = safe_text(fault.detail)
    if not fault.problems:
        body = {"code": fault.code, "detail": detail, **fault.members}
        return ErrorAnswer(fault.status, orjson.dumps(body), fault.headers)
    detail = [
        {"loc": _location(problem), "msg": safe_text(problem.message[:MAX_SENTENCE_LENGTH]), "type": problem.kind}
        for problem in fault.problems
    ]
    return ErrorAnswer(fault.status, orjson.dumps({"detail": detail}), fault.headers)


def _location(problem: Problem) -> list[str | int]:
    path = on_the_wire(problem)
    return [problem.place, *(safe_text(part[:MAX_NAME_LENGTH]) if isinstance(part, str) else part for part in path)]


def write_error(status: int, code: str, detail: str) -> ErrorAnswer:
    """An answer of the connection itself, before any path is known."""
    return write_fault(Fault(status, code, detail))


def describe(error: HooklineError) -> ErrorAnswer:
    """The main API's answer to an error that was raised on purpose."""
    return write_fault(faults.explain(error))


def internal_error(path: str = "") -> ErrorAnswer:
    """Our own fault."""
    return shape_of(path)(INTERNAL)


def too_large(max_body_bytes: int, path: str = "") -> ErrorAnswer:
    """More than we read, whatever it was to be."""
    return shape_of(path)(faults.too_large(max_body_bytes))


async def handle_hookline_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HooklineError)
    return _answer(request, faults.explain(error))


async def handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, faults.explain_http(error))


async def handle_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer(request, faults.explain_validation(error))


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HooklineError, handle_hookline_error)
    app.add_exception_handler(HTTPException, handle_http_error)
    app.add_exception_handler(RequestValidationError, handle_validation_error)


def _answer(request: Request, fault: Fault) -> Response:
    return shape_of(request.scope["path"])(fault).to_response()


def on_the_wire(problem: Problem) -> Sequence[str | int]:
    """The path as clients wrote it: members of bodies in camelCase, parameters and headers as they are."""
    if problem.place != "body":
        return (*problem.field, *problem.path)
    if problem.field[:1] == ("filter",):  # what is in it are the caller's own names
        return problem.field
    return [*(to_camel(part) if isinstance(part, str) else part for part in problem.field), *problem.path]


def safe_text(text: str) -> str:
    """Text that can be written as UTF-8: what came in may hold half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode("utf-8")
