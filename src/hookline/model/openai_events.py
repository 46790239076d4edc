"""The event types of the OpenAI platform: names, what their data holds, and an example of each. Pure.

Thin by design: most carry an id, and who receives one asks for the rest. `SUBSCRIBABLE` are the names that the
platform's API lets an endpoint subscribe to; the others are only ever sent. Source: the event classes of the official
Python SDK (3.54) and the platform's webhook guide; the example of `realtime.call.incoming` has the members of Azure's
published one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec


class OpenAIEventType(msgspec.Struct, frozen=True):
    """`schema` is JSON Schema (draft 7) of the event's `data`, `example` such data."""

    name: str
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]
    subscribable: bool = True


_TEXT: Final = {"type": "string"}
_SIP_HEADERS: Final = {
    "type": "array",
    "items": {"type": "object", "required": ["name", "value"], "properties": {"name": _TEXT, "value": _TEXT}},
}
_CALL_HEADERS: Final = [
    {"name": "From", "value": "sip:+14255550199@sip.example.com"},
    {"name": "To", "value": "sip:+18005550100@sip.example.com"},
    {"name": "Call-ID", "value": "03782086-4ce9-44bf-8b0d-4e303d2cc590"},
]
_MEDIA_SECURITY: Final = {"type": "string", "description": "`rtp`, `srtp`, or what the carrier calls it."}
_ENVIRONMENT: Final = {"enum": ["none", "openai_hosted", "self_hosted"]}
_ACTION: Final = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {
            "enum": ["computer_use_approval_request", "mcp_approval_request", "function_call", "environment_connection"]
        }
    },
}


def _event(
    name: str,
    description: str,
    required: Mapping[str, Any],
    example: dict[str, Any],
    optional: Mapping[str, Any] = MappingProxyType({}),
    *,
    subscribable: bool = True,
) -> OpenAIEventType:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": name,
        "description": description,
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "examples": [example],
    }
    return OpenAIEventType(name, description, schema, example, subscribable)


def _by_id(
    group: str, noun: str, example_id: str, ends: Mapping[str, str], *, subscribable: bool = True
) -> list[OpenAIEventType]:
    """Events that carry the id of what they are about."""
    return [
        _event(f"{group}.{end}", f"{noun} {what}.", {"id": _TEXT}, {"id": example_id}, subscribable=subscribable)
        for end, what in ends.items()
    ]


def _sessions() -> Sequence[OpenAIEventType]:
    members = {"id": _TEXT, "environment_type": _ENVIRONMENT}
    example = {"id": "sess_abc123", "environment_type": "openai_hosted", "environment_id": "env_abc123"}
    environment = {"environment_id": _TEXT}
    connect = {"type": "object", "properties": {"remote_url": _TEXT}}
    ends = {"in_progress": "works", "idle": "waits for input", "failed": "has failed"}
    return [
        _event(
            "agent.session.created",
            "An agent's session was made.",
            members,
            example,
            {**environment, "connect": connect},
        ),
        *(
            _event(f"agent.session.{end}", f"An agent's session {what}.", members, example, environment)
            for end, what in ends.items()
        ),
        _event(
            "agent.session.action_required",
            "An agent's session waits until somebody acts.",
            {"id": _TEXT, "required_action": _ACTION},
            {"id": "sess_abc123", "required_action": {"type": "function_call"}},
        ),
    ]


_ENDED: Final = {"completed": "is done", "failed": "has failed", "cancelled": "was cancelled"}

_ALL: Final[Sequence[OpenAIEventType]] = (
    *_by_id("response", "A background response", "resp_abc123", {**_ENDED, "incomplete": "ended early"}),
    *_by_id("batch", "A batch", "batch_abc123", {**_ENDED, "expired": "was not done in time"}),
    *_by_id(
        "fine_tuning.job",
        "A fine-tuning job",
        "ftjob-abc123",
        {"succeeded": "is done", "failed": "has failed", "cancelled": "was cancelled"},
    ),
    *_by_id(
        "eval.run",
        "An evaluation run",
        "evalrun_abc123",
        {"succeeded": "is done", "failed": "has failed", "canceled": "was canceled"},
    ),
    *_by_id("video", "A video", "video_abc123", {"completed": "is done", "failed": "has failed"}),
    _event(
        "realtime.call.incoming",
        "Somebody calls: accept, refer or reject the call by its id.",
        {"call_id": _TEXT, "sip_headers": _SIP_HEADERS},
        {"call_id": "rtc_abc123", "sip_headers": _CALL_HEADERS},
        {"sip_media_security": _MEDIA_SECURITY},
    ),
    *_by_id(
        "agent.environment",
        "An agent's environment",
        "env_abc123",
        {"ready": "is ready", "failed": "has failed", "suspended": "was suspended", "expired": "has expired"},
    ),
    *_sessions(),
    *_by_id("safety", "A safety alert", "alert_abc123", {"alert.created": "was raised for the project"}),
    *_by_id(
        "safety",
        "A safety alert",
        "alert_abc123",
        {"org_alert.created": "was raised for the organization"},
        subscribable=False,
    ),
    *_by_id(
        "safety",
        "A safety case",
        "case_abc123",
        {"warning_issued": "led to a warning", "deactivation_issued": "led to a deactivation"},
        subscribable=False,
    ),
    _event(
        "safety_identifier.blocked",
        "Requests with a safety identifier are blocked.",
        {"safety_category": _TEXT, "safety_identifier": _TEXT},
        {"safety_category": "bio", "safety_identifier": "user_123"},
        {"model": _TEXT, "project_id": _TEXT, "request_id": _TEXT},
        subscribable=False,
    ),
    _event(
        "live.transport.incoming",
        "Somebody calls a live session.",
        {"type": {"const": "sip"}, "session_id": _TEXT, "sip_headers": _SIP_HEADERS},
        {"type": "sip", "session_id": "live_abc123", "sip_headers": _CALL_HEADERS},
        {"sip_media_security": _MEDIA_SECURITY},
        subscribable=False,
    ),
    _event(
        "live.transport.connected",
        "A live session is connected.",
        {"type": {"const": "webrtc"}, "session_id": _TEXT},
        {"type": "webrtc", "session_id": "live_abc123"},
        subscribable=False,
    ),
    _event(
        "live.call.incoming",
        "The older name of live.transport.incoming.",
        {"session_id": _TEXT, "sip_headers": _SIP_HEADERS},
        {"session_id": "live_abc123", "sip_headers": _CALL_HEADERS},
        {"sip_media_security": _MEDIA_SECURITY},
        subscribable=False,
    ),
)

OPENAI_EVENTS: Final[Mapping[str, OpenAIEventType]] = MappingProxyType({event.name: event for event in _ALL})
SUBSCRIBABLE: Final = tuple(event.name for event in _ALL if event.subscribable)
DEPRECATED: Final = frozenset({"live.call.incoming"})
