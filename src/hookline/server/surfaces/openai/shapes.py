"""The JSON of webhook endpoints, in and out, as OpenAI and Azure OpenAI write it.

Ids are ours with the platform's prefix: `whe_...` here is `ep_...` in the main API. `object` differs between the two:
`webhook_endpoint`, and under Azure's `/dashboard` `webhook.endpoint`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from hookline.model import Endpoint, ids

PREFIX: Final = "whe"


class Shape(BaseModel):
    """Base of what comes in; unknown members are ignored, as the platform does."""

    model_config = ConfigDict(extra="ignore", strict=True)


class WebhookEndpointIn(Shape):
    name: str | None = None
    url: str | None = None
    event_types: list[str] | None = None


class RotateSecretIn(Shape):
    keep_old_secret_active_for_24_hours: bool | None = None


class TestIn(Shape):
    event_type: str


class EventIn(Shape):
    """An event to send. `data` goes into the platform's envelope; `id` is the sender's own name for the event."""

    type: Annotated[str, Field(description="One of `GET /webhook_event_types`, or a registered event type.")]
    data: dict[str, Any]
    id: Annotated[str | None, Field(description="Sent again with it, the event is not doubled.")] = None


def read_endpoint_id(text: str) -> str:
    """Our id of an endpoint, from this API's."""
    head, _, tail = text.partition("_")
    return f"{ids.ENDPOINT}_{tail}" if head == PREFIX else text


def write_endpoint_id(identifier: str) -> str:
    return f"{PREFIX}_{identifier.partition('_')[2]}"


def render_endpoint(endpoint: Endpoint, *, azure: bool, with_secret: bool = False) -> dict[str, Any]:
    """A webhook endpoint; the secret only where it has just been made."""
    key = endpoint.secrets[0].key if endpoint.secrets else ""
    shown = {"signing_secret": key} if with_secret else {}
    return {
        "id": write_endpoint_id(endpoint.id),
        "object": "webhook.endpoint" if azure else "webhook_endpoint",
        "created_at": endpoint.created_at_ms // 1000,
        "updated_at": endpoint.updated_at_ms // 1000,
        "name": endpoint.description,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types or ()),
        "signing_secret_hint": f"whsec_...{key[-4:]}" if key else None,
        **shown,
    }
