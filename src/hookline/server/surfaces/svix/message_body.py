"""Reading the body of a new message without touching its payload.

The envelope is decoded by a compiled decoder; the payload stays the very bytes that came in, to be stored, signed and
sent as they are. Not awaited anywhere: the hot path calls this directly.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from hookline.server.surfaces.svix.application_body import read_application_form
from hookline.server.surfaces.svix.moments import read_moment
from hookline.server.surfaces.svix.shapes import ApplicationIn
from hookline.services import ApplicationForm, InvalidError, MessageForm, Problem
from hookline.services.errors import invalid
from hookline.services.validation import find_repeated

_LOCATION: Final = re.compile(r" - at `\$([^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_PART: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+|\.\.\.)\]")


_Count = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]  # the services say what is sensible


class _Parameters(msgspec.Struct, rename="camel"):
    raw_payload: str | None = None


class _Body(msgspec.Struct, rename="camel"):
    event_type: str
    payload: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    payload_retention_period: _Count | None = None
    payload_retention_hours: _Count | None = None
    deliver_at: datetime | None = None
    tags: tuple[str, ...] | None = None
    transformations_params: _Parameters | None = None
    application: dict[str, Any] | None = None


_decoder: Final = msgspec.json.Decoder(_Body)


def read_message(body: bytes) -> MessageForm:
    """The message in a request's body.

    Raises:
        InvalidError: not JSON, a member is missing or of the wrong type, or asks for what is not offered.
    """
    return _form_of(_decode(body))


def read_application(body: bytes) -> ApplicationForm | None:
    """The application that a message brings along, for the case that it does not exist yet.

    Raises:
        InvalidError: it is not one.
    """
    content = _decode(body).application
    if content is None:
        return None
    try:
        shape = ApplicationIn.model_validate(content)
    except ValueError as error:
        raise invalid("application", "Not an application: give at least its name.") from error
    return read_application_form(shape)


def _decode(body: bytes) -> _Body:
    try:
        content = _decoder.decode(body)
        if _may_repeat(body) or _rarely_repeats(content, body):
            _refuse_repetition(body)
    except msgspec.ValidationError as error:
        raise InvalidError([_problem_of(str(error))]) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidError([Problem((), "The body is not valid JSON.", "json_invalid")]) from error
    return content


def _form_of(content: _Body) -> MessageForm:
    payload = bytes(content.payload) or bytes(content.data)
    parameters = content.transformations_params
    if parameters is not None and parameters.raw_payload is not None:
        try:
            raw = parameters.raw_payload.encode()
        except UnicodeEncodeError as error:
            raise invalid("transformations_params", "The raw payload is not valid text.") from error
    elif payload:
        raw = payload
    else:
        raise invalid("payload", "Field required", "missing")
    retention_s: float | None = None
    if content.payload_retention_hours is not None and content.payload_retention_period is not None:
        raise invalid("payload_retention_hours", "Give payloadRetentionPeriod (days) or this one (hours), not both.")
    if content.payload_retention_hours is not None:
        retention_s = content.payload_retention_hours * 3_600.0
    elif content.payload_retention_period is not None:
        retention_s = content.payload_retention_period * 86_400.0
    deliver_at_ms = None if content.deliver_at is None else read_moment(content.deliver_at, "deliver_at")
    return MessageForm(
        content.event_type, raw, content.event_id, content.channels, retention_s, content.tags, deliver_at_ms
    )


def _problem_of(text: str) -> Problem:
    """Where and what, from the decoder's sentence: «Expected `str`, got `int` - at `$.eventType`»."""
    location = _LOCATION.search(text)
    path: list[str | int] = []
    if location is not None:
        for name, index in _PART.findall(location[1]):
            path.append(name or (int(index) if index.isdigit() else index))
        text = text[: location.start()]
    missing = _MISSING.search(text)
    if missing is not None:
        return Problem((*path, missing[1]), "Field required", "missing")
    return Problem(tuple(path), text, "type_error")


def _may_repeat(body: bytes) -> bool:
    """Whether a name of the envelope occurs twice anywhere. Written out: a loop would cost more than the searches."""
    return (
        body.count(b'"payload"') > 1
        or body.count(b'"eventType"') > 1
        or body.count(b'"eventId"') > 1
        or body.count(b'"channels"') > 1
    )


def _rarely_repeats(content: _Body, body: bytes) -> bool:
    """The same for members that most messages do without: nothing is searched for where they are absent."""
    return (
        (content.tags is not None and body.count(b'"tags"') > 1)
        or (content.deliver_at is not None and body.count(b'"deliverAt"') > 1)
        or (content.payload_retention_period is not None and body.count(b'"payloadRetentionPeriod"') > 1)
        or (content.payload_retention_hours is not None and body.count(b'"payloadRetentionHours"') > 1)
        or (bool(content.data) and body.count(b'"data"') > 1)
        or (content.application is not None and body.count(b'"application"') > 1)
        or (content.transformations_params is not None and body.count(b'"transformationsParams"') > 1)
    )


def _refuse_repetition(body: bytes) -> None:
    """Of two payloads, which one was meant? The names may occur inside the payload too: look at the envelope alone."""
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        outermost[:] = pairs

    json.loads(body, object_pairs_hook=keep)
    repeated = find_repeated(name for name, _ in outermost)
    if repeated is not None:
        raise invalid(repeated, "This member is there twice. Keep one.", "json_repeated")
