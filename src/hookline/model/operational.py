"""The types of operational webhooks: what Hookline itself tells an organization about its endpoints and deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec


class OperationalType(msgspec.Struct, frozen=True):
    """A type with the schema of its payload and an example."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: Mapping[str, Any]


_TEXT: Final = {"type": "string"}
_OPTIONAL: Final = {"type": ["string", "null"]}
_NAMES: Final = {"appId": _TEXT, "appUid": _OPTIONAL, "endpointId": _TEXT, "endpointUid": _OPTIONAL}
_EXAMPLE: Final = {
    "appId": "app_01h455vb4pex5vsknk084sn02q",
    "appUid": "acme",
    "endpointId": "ep_01h455vb4pex5vsknk084sn02q",
    "endpointUid": None,
}
_ATTEMPT: Final = {
    "type": "object",
    "required": ["id", "responseStatusCode", "timestamp"],
    "properties": {"id": _TEXT, "responseStatusCode": {"type": "integer"}, "timestamp": _TEXT},
}
_ATTEMPT_EXAMPLE: Final = {
    "id": "atmpt_01h455vb4pex5vsknk084sn02q",
    "responseStatusCode": 500,
    "timestamp": "2023-06-30T03:34:18.518Z",
}


def _endpoint(name: str, description: str, more: Mapping[str, Any], example: Mapping[str, Any]) -> OperationalType:
    required = ["appId", "endpointId", *(member for member in more if member in {"failSince", "trigger"})]
    return _made(name, description, required, {**_NAMES, **more}, {**_EXAMPLE, **example})


def _attempt(name: str, description: str) -> OperationalType:
    more = {"msgId": _TEXT, "msgEventId": _OPTIONAL, "lastAttempt": _ATTEMPT}
    example = {"msgId": "msg_01h455vb4pex5vsknk084sn02q", "msgEventId": None, "lastAttempt": _ATTEMPT_EXAMPLE}
    required = ["appId", "endpointId", "msgId", "lastAttempt"]
    return _made(name, description, required, {**_NAMES, **more}, {**_EXAMPLE, **example})


def _made(
    name: str, description: str, required: list[str], data: Mapping[str, Any], example: Mapping[str, Any]
) -> OperationalType:
    schema = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {"const": name},
            "data": {"type": "object", "required": required, "properties": data},
        },
    }
    return OperationalType(name, description, schema, {"type": name, "data": example})


OPERATIONAL_TYPES: Final = (
    _endpoint("endpoint.created", "An endpoint was created.", {}, {}),
    _endpoint("endpoint.updated", "An endpoint was changed.", {}, {}),
    _endpoint("endpoint.deleted", "An endpoint was deleted.", {}, {}),
    _endpoint(
        "endpoint.disabled",
        "An endpoint was disabled: by its receiver, or after a time of nothing but failures.",
        {"failSince": _OPTIONAL, "trigger": _TEXT},
        {"failSince": "2023-06-25T03:34:18.518Z", "trigger": "automatic"},
    ),
    _attempt("message.attempt.exhausted", "The last attempt at a message has failed; no more follow."),
    _attempt("message.attempt.failing", "A message has failed several times; more attempts follow."),
    _attempt("message.attempt.recovered", "A message that was failing has arrived."),
)
OPERATIONAL_NAMES: Final = frozenset(operational.name for operational in OPERATIONAL_TYPES)
