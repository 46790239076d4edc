"""Operational events: what Hookline tells an organization about its own endpoints and deliveries. Pure.

They are ordinary messages of the organization's operations application, `{"type": ..., "data": {...}}`, with the
members that the Svix API has for them, so that programs written for those read ours; what we add is optional. Each has
an id that follows from what happened (`endpoint.created.ep_1`), so that what is written twice is delivered once.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

ENDPOINT_CREATED: Final = "endpoint.created"
ENDPOINT_UPDATED: Final = "endpoint.updated"
ENDPOINT_DELETED: Final = "endpoint.deleted"
ENDPOINT_ENABLED: Final = "endpoint.enabled"
ENDPOINT_DISABLED: Final = "endpoint.disabled"
ATTEMPT_EXHAUSTED: Final = "message.attempt.exhausted"
ATTEMPT_FAILING: Final = "message.attempt.failing"
ATTEMPT_RECOVERED: Final = "message.attempt.recovered"
ALERT_FIRED: Final = "alert.fired"
ALERT_RESOLVED: Final = "alert.resolved"

FAILING_AFTER: Final = 4  # failures of one delivery after which `message.attempt.failing` is told

TRIGGER_MANUAL: Final = "manual"
TRIGGER_AUTOMATIC: Final = "automatic"


class OperationalType(msgspec.Struct, frozen=True):
    """An event type of ours: `schema` is JSON Schema (draft 7), `example` a payload that fits it."""

    name: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]


# --- schemas and examples ---------------------------------------------------------------------------------------------

_ID: Final = {"type": "string"}
_UID: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: Final = {"type": ["number", "null"]}

_APP: Final = "app_01jgz0000000000000000000aa"
_ENDPOINT: Final = "ep_01jgz0000000000000000000bb"
_MESSAGE: Final = "msg_01jgz0000000000000000000cc"
_ATTEMPT: Final = "atmpt_01jgz0000000000000000000dd"
_RULE: Final = "alert_01jgz0000000000000000000ee"
_MOMENT: Final = "2026-01-05T08:30:00.000Z"


def _type(
    name: str, description: str, required: dict[str, Any], optional: dict[str, Any], example: dict[str, Any]
) -> OperationalType:
    data = {"type": "object", "required": list(required), "properties": {**required, **optional}}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": name,
        "description": description,
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"const": name}, "data": data},
    }
    return OperationalType(name, description, schema, {"type": name, "data": example})


def _endpoint_type(name: str, description: str) -> OperationalType:
    example = {"appId": _APP, "appUid": "acme", "endpointId": _ENDPOINT, "endpointUid": "billing"}
    return _type(name, description, {"appId": _ID, "endpointId": _ID}, {"appUid": _UID, "endpointUid": _UID}, example)


def _attempt_type(name: str, description: str, status: int) -> OperationalType:
    last_attempt = {
        "type": "object",
        "required": ["id", "responseStatusCode", "timestamp"],
        "properties": {"id": _ID, "responseStatusCode": {"type": "integer"}, "timestamp": _TIME},
    }
    example = {
        "appId": _APP,
        "appUid": "acme",
        "endpointId": _ENDPOINT,
        "msgId": _MESSAGE,
        "msgEventId": "evt-1001",
        "lastAttempt": {"id": _ATTEMPT, "responseStatusCode": status, "timestamp": _MOMENT},
    }
    required = {"appId": _ID, "endpointId": _ID, "msgId": _ID, "lastAttempt": last_attempt}
    return _type(name, description, required, {"appUid": _UID, "msgEventId": _UID}, example)


def _disabled_type() -> OperationalType:
    return _type(
        ENDPOINT_DISABLED,
        "An endpoint was disabled: by itself, because it failed for too long, or on request.",
        {"appId": _ID, "endpointId": _ID},
        {
            "appUid": _UID,
            "endpointUid": _UID,
            "failSince": _MAYBE_TIME,
            "trigger": {"enum": [TRIGGER_MANUAL, TRIGGER_AUTOMATIC]},
            "reason": {"type": ["string", "null"]},
            "detail": {"type": ["string", "null"]},
        },
        {
            "appId": _APP,
            "appUid": "acme",
            "endpointId": _ENDPOINT,
            "endpointUid": "billing",
            "failSince": _MOMENT,
            "trigger": TRIGGER_AUTOMATIC,
            "reason": "failing",
            "detail": "Every attempt failed since 2026-01-05T08:30:00.000Z.",
        },
    )


def _alert_type(name: str, description: str, value: float) -> OperationalType:
    return _type(
        name,
        description,
        {"ruleId": _ID, "name": _ID, "kind": _ID, "threshold": {"type": "number"}},
        {"appId": _UID, "value": _NUMBER, "since": _TIME, "detail": {"type": "string"}},
        {
            "ruleId": _RULE,
            "name": "Many failures",
            "kind": "failure_rate",
            "appId": None,
            "threshold": 0.5,
            "value": value,
            "since": _MOMENT,
            "detail": f"{value:.0%} of the attempts of the last 10 min failed.",
        },
    )


OPERATIONAL_TYPES: Final = (
    _endpoint_type(ENDPOINT_CREATED, "An endpoint was created."),
    _endpoint_type(ENDPOINT_UPDATED, "Something about an endpoint was changed."),
    _endpoint_type(ENDPOINT_DELETED, "An endpoint was deleted."),
    _endpoint_type(ENDPOINT_ENABLED, "An endpoint that was disabled is enabled again."),
    _disabled_type(),
    _attempt_type(ATTEMPT_EXHAUSTED, "A delivery failed for good: nothing more is tried.", 500),
    _attempt_type(ATTEMPT_FAILING, f"A delivery has failed {FAILING_AFTER} times; it is tried again.", 503),
    _attempt_type(ATTEMPT_RECOVERED, f"A delivery arrived after {FAILING_AFTER} failures or more.", 200),
    _alert_type(ALERT_FIRED, "What an alert rule watches has crossed its threshold.", 0.75),
    _alert_type(ALERT_RESOLVED, "What an alert rule watches is well again.", 0.125),
)
OPERATIONAL_NAMES: Final = frozenset(one.name for one in OPERATIONAL_TYPES)
