"""What went wrong, before it has the shape of any API: status, code, sentence, the problems of an input, headers.

`explain` knows every error that is raised on purpose. How a fault is written is the business of the surface that was
called: see `errors`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hookline.engine import EngineError, OverloadedError, StoppingError, UnknownApplicationError
from hookline.errors import HooklineError
from hookline.services import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    EventIdTakenError,
    ForbiddenError,
    InProgressError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    NotOfferedError,
    PayloadGoneError,
    PayloadTooLargeError,
    Problem,
)
from hookline.services.errors import MOST_PROBLEMS, TooManyOpenError
from hookline.services.inference import BackendBusyError, BackendNotSetError, BackendRefusedError
from hookline.store import ConflictError as StoreConflictError
from hookline.store import StoreFullError, StoreUnavailableError

log = logging.getLogger("hookline.server")

RETRY_SOON: Final = {"retry-after": "1"}
RETRY_LATER: Final = {"retry-after": "5"}


class Fault(msgspec.Struct, frozen=True):
    """`problems` are there when the input breaks rules; the status is then 422 until a surface says otherwise.

    `members` are further facts for programs, by the names that they have in the main API.
    """

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = {}
    problems: tuple[Problem, ...] = ()
    members: Mapping[str, str] = {}


INTERNAL: Final = Fault(500, "server_error", "Internal server error")  # what happened is in the log, by request id


def explain(error: HooklineError) -> Fault:
    """What an error that was raised on purpose means for who called."""
    text, code = error.message, error.code
    match error:
        case InvalidError():
            return Fault(422, code, text, problems=error.problems[:MOST_PROBLEMS])
        case AuthenticationError():
            return Fault(401, code, text, {"www-authenticate": "Bearer"})
        case ForbiddenError():
            return Fault(403, code, text)
        case NotFoundError():
            return Fault(404, code, text)
        case UnknownApplicationError():
            return Fault(404, "not_found", "Entity not found")
        case EventIdTakenError():
            return Fault(409, code, text, members={"messageId": error.message_id})
        case ConflictError():
            return Fault(409, code, text)
        case StoreConflictError():
            return Fault(409, "conflict", text)
        case BackendNotSetError():
            return Fault(501, code, text)
        case BackendBusyError():
            after_s = error.retry_after_s
            return Fault(
                502, code, text, {} if after_s is None else {"retry-after": str(math.ceil(min(after_s, 3600)))}
            )
        case TooManyOpenError():
            return Fault(429, code, text, RETRY_LATER)
        case InProgressError():
            return Fault(409, code, text, RETRY_SOON)
        case LimitReachedError() | PayloadGoneError() | BadRequestError() | BackendRefusedError():
            return Fault(400, code, text)
        case PayloadTooLargeError():
            return Fault(413, code, text)
        case OverloadedError() | StoppingError() | NotOfferedError():
            return Fault(503, code, text, RETRY_SOON)
        case StoreFullError():
            return Fault(507, code, "There is no space left to keep anything. Nothing was accepted.", RETRY_LATER)
        case StoreUnavailableError():
            # The store's own words may name hosts and files: they are for the log, not for customers.
            log.warning("answered 503", extra={"action": "store_unavailable", "reason": text})
            return Fault(503, code, "The database does not answer. Nothing was accepted; try again.", RETRY_LATER)
        case EngineError():
            log.error("engine refused", extra={"action": "engine_refused", "reason": text})
            return Fault(503, code, "The request cannot be served now. Try again.", RETRY_SOON)
        case _:
            log.error("unexpected error", exc_info=error, extra={"action": "unexpected_error"})
            return INTERNAL


def explain_http(error: HTTPException) -> Fault:
    """Starlette's own errors: unknown paths, wrong methods."""
    codes = {404: "not_found", 405: "method_not_allowed", 400: "generic_error", 413: "payload_too_large"}
    details = {404: "There is nothing at this path.", 405: "This path does not have this method."}
    status = error.status_code
    code = codes.get(status, "generic_error" if status < 500 else "server_error")
    return Fault(status, code, details.get(status, str(error.detail)), dict(error.headers or {}))


def explain_validation(error: RequestValidationError) -> Fault:
    """What FastAPI found wrong; its locations are the wire's own words already."""
    found: list[dict[str, Any]] = list(error.errors()[:MOST_PROBLEMS])
    problems = tuple(
        Problem((), str(one["msg"]), str(one["type"]), str(one["loc"][0]), tuple(one["loc"][1:])) for one in found
    )
    return Fault(422, "validation", "; ".join(problem.message for problem in problems), problems=problems)


def too_large(max_body_bytes: int) -> Fault:
    """More than we read, whatever it was to be."""
    return Fault(413, "payload_too_large", f"The request has more than {max_body_bytes} bytes. Send less at once.")
