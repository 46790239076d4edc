"""The `webhooks` of the OpenAPI description: one entry for each event type, as its receiver sees the request.

Schemas of event types stand on their own, so their references begin at their own root; in the description they begin
at its root instead, and are rewritten to go on leading to the same place. (OpenAPI 3.1.1, section 4.8.24.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.model import EventType
from hookline.model.operational import OPERATIONAL_TYPES
from hookline.services import InvalidError
from hookline.services.examples import example_of
from hookline.services.schema_cost import NAMED, VALUES
from hookline.services.schemas import newest_version

TAG: Final = "Webhooks"
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "WebhookId": {
        "name": "webhook-id",
        "in": "header",
        "required": True,
        "description": "The message's id, the same on every attempt: what tells a repetition.",
        "schema": {"type": "string"},
        "example": "msg_01jz4x4n7rt1w3b8q5m9c2f6yz",
    },
    "WebhookTimestamp": {
        "name": "webhook-timestamp",
        "in": "header",
        "required": True,
        "description": "When this attempt was made, in Unix seconds.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "1782899112",
    },
    "WebhookSignature": {
        "name": "webhook-signature",
        "in": "header",
        "required": True,
        "description": "Signatures of `id.timestamp.body` by the endpoint's secret, separated by spaces: `v1,` and "
        "base64 of an HMAC-SHA256, or `v1a,` and base64 of an Ed25519 signature (Standard Webhooks).",
        "schema": {"type": "string"},
        "example": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    },
}
_RESPONSES: Final = {
    "2XX": {"description": "It has arrived. Anything else, and silence, is tried again by the endpoint's schedule."}
}
_DROPPED: Final = frozenset({"$schema", "$id", "id", "examples"})


def describe_operational() -> dict[str, Any]:
    """What Hookline itself tells an organization."""
    return {
        one.name: _describe(one.name, one.description, one.schema, [one.example], deprecated=False)
        for one in OPERATIONAL_TYPES
    }


def describe_event_type(event_type: EventType) -> dict[str, Any]:
    """An event type as a path item, with the newest version of its schema."""
    version = newest_version(event_type.schemas or {})
    schema: Mapping[str, Any] = {"type": "object"} if version is None else (event_type.schemas or {})[version]
    own = schema.get("examples")
    examples = own if isinstance(own, list) else []
    if not examples and version is not None:
        try:
            examples = [example_of(event_type)]
        except InvalidError:
            examples = []
    return _describe(event_type.name, event_type.description, schema, examples, deprecated=event_type.deprecated)


def _describe(
    name: str, description: str, schema: Mapping[str, Any], examples: list[Any], *, deprecated: bool
) -> dict[str, Any]:
    place = f"#/webhooks/{name}/post/requestBody/content/application~1json/schema"
    kept = {member: value for member, value in schema.items() if member not in _DROPPED}
    content: dict[str, Any] = {"schema": _relocated(kept, place)}
    if examples:
        content["examples"] = {f"example {number}": {"value": value} for number, value in enumerate(examples, 1)}
    operation: dict[str, Any] = {
        "tags": [TAG],
        "summary": name,
        "description": description,
        "parameters": [{"$ref": f"#/components/parameters/{header}"} for header in HEADERS],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _RESPONSES,
    }
    return {"post": {**operation, "deprecated": True} if deprecated else operation}


def _relocated(item: Any, place: str, keyword: str = "") -> Any:
    """A schema whose references lead to the same places, now that its root is elsewhere. Data in it stays as it is."""
    if keyword in VALUES:
        return item
    if isinstance(item, Mapping):
        return {
            name: place + value[1:]
            if name == "$ref" and isinstance(value, str) and value.startswith("#")
            else _relocated(value, place, "" if keyword in NAMED else name)
            for name, value in item.items()
        }
    return [_relocated(part, place) for part in item] if isinstance(item, list) else item
