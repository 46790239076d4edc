"""What a service can say instead of a result. None of these knows HTTP; surfaces choose the status and the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hookline.errors import HooklineError

MOST_PROBLEMS: Final = 100  # of one input that are said at once: an answer must not outgrow what it answers


class ServiceError(HooklineError):
    """Root of the services' errors."""

    code = "service_error"


class NotFoundError(ServiceError):
    """There is no such thing for this caller. What belongs to others looks exactly like what does not exist."""

    code = "not_found"

    def __init__(self, message: str = "Entity not found") -> None:
        super().__init__(message)


class ConflictError(ServiceError):
    """A name that the caller chose is taken, or a key was used for another request before."""

    code = "conflict"


class EventTypeExistsError(ConflictError):
    """There is a live event type of this name."""

    code = "event_type_exists"


class EventIdTakenError(ConflictError):
    """Another message has this eventId: the one with the id `message_id`."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"A message with this eventId exists already: {message_id}")
        self.message_id = message_id


class AuthenticationError(ServiceError):
    """Nobody knows who is calling. Says nothing about why: that would help those who guess."""

    code = "authentication_failed"

    def __init__(self, message: str = "Invalid token") -> None:
        super().__init__(message)


class ForbiddenError(ServiceError):
    """The caller is known, and this is not theirs to do."""

    code = "insufficient access"

    def __init__(self, message: str = "Insufficient access for the requested operation.") -> None:
        super().__init__(message)


class NotOfferedError(ServiceError):
    """This node does not do that, by its operator's wish; others of the same installation do."""

    code = "not_offered_here"


class InProgressError(ServiceError):
    """The same request is being done at this moment."""

    code = "request_in_progress"

    def __init__(
        self, message: str = "The first request with this Idempotency-Key is not done yet. Ask again."
    ) -> None:
        super().__init__(message)


class BadRequestError(ServiceError):
    """What was asked for makes no sense as a whole, though each part of it would."""

    code = "generic_error"


class PayloadTooLargeError(ServiceError):
    """More bytes than the operator lets in."""

    code = "payload_too_large"


class PayloadGoneError(ServiceError):
    """The message is there, its payload is not: it expired or was removed, so it can never be sent again."""

    code = "missing_payload"

    def __init__(self, message: str = "The payload of this message is gone; it cannot be sent again.") -> None:
        super().__init__(message)


class LimitReachedError(ServiceError):
    """One more than an object may have."""

    code = "limit_reached"


class TooManyOpenError(ServiceError):
    """As many are open as may be; some will end soon."""

    code = "rate_limit_exceeded"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input.

    `field` is the path to it in the words of the model (`event_types`, `0`); `path` goes on from there in the caller's
    own words (within a payload, within a schema). `place` is the part of a request that it came in: `body`, `header`,
    `query` or `path`.
    """

    field: tuple[str | int, ...]
    message: str
    kind: str = "value_error"
    place: str = "body"
    path: tuple[str | int, ...] = ()


class InvalidError(ServiceError):
    """The input breaks a rule of validity; `problems` says which fields: all at once, of very many the first."""

    code = "validation"

    def __init__(self, problems: Sequence[Problem]) -> None:
        said = tuple(problems[:MOST_PROBLEMS])
        super().__init__("; ".join(problem.message for problem in said))
        self.problems = said


def invalid(field: str, message: str, kind: str = "value_error", place: str = "body") -> InvalidError:
    """An InvalidError about one field."""
    return InvalidError([Problem((field,), message, kind, place)])
