"""From what Hookline keeps to the JSON of this API.

Messages are written around their payload's own bytes, which are never parsed again; everything else is small.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
import orjson

from hookline.model import (
    SVIX_STATUS,
    SVIX_STATUS_TEXT,
    Application,
    Attempt,
    AttemptStatus,
    Endpoint,
    EndpointStatus,
    EventType,
    Kind,
    Message,
)
from hookline.model.health import EndpointHealth, state_of
from hookline.server.surfaces.svix.auth_shapes import hide_auth, render_auth, render_certificate
from hookline.server.surfaces.svix.shapes import (
    ApplicationOut,
    EndpointHealthOut,
    EndpointOut,
    EventTypeOut,
    MessageEndpointOut,
    PolicyShape,
)
from hookline.store import DeliveryView, EndpointMessage

EXPUNGED: Final = b'{"expired":true}'
_ATTEMPT_STATUS: Final = {AttemptStatus.SUCCEEDED: 0, AttemptStatus.FAILED: 2, AttemptStatus.CANCELED: 4}


def format_time(moment_ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    seconds, milliseconds = divmod(moment_ms, 1000)
    return f"{_format_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=256)  # thousands of messages share a second
def _format_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def render_application(application: Application) -> ApplicationOut:
    return ApplicationOut(
        id=application.id,
        uid=application.uid,
        name=application.name,
        throttle_rate=application.throttle_rate,
        rate_limit=application.throttle_rate,
        metadata=dict(application.metadata),
        created_at=format_time(application.created_at_ms),
        updated_at=format_time(application.updated_at_ms),
    )


def render_health(endpoint: Endpoint, health: EndpointHealth | None) -> EndpointHealthOut:
    known = health or EndpointHealth()
    return EndpointHealthOut(
        state=state_of(endpoint, health).value,
        failing_since=None if known.failing_since_ms is None else format_time(known.failing_since_ms),
        disabled_at=None if known.disabled_at_ms is None else format_time(known.disabled_at_ms),
        reason=known.reason,
        detail=known.detail,
    )


def render_endpoint(endpoint: Endpoint, *, credentials: bool = True) -> EndpointOut:
    """An endpoint; without `credentials`, also without what stands beside the secrets of its `auth`."""
    event_types = None if endpoint.event_types is None else list(endpoint.event_types)
    auth = render_auth(endpoint.extras.auth)
    return EndpointOut(
        id=endpoint.id,
        uid=endpoint.uid,
        url=endpoint.url,
        description=endpoint.description,
        version=endpoint.version,
        disabled=endpoint.status is EndpointStatus.DISABLED,
        event_types=event_types,
        filter_types=event_types,
        channels=None if endpoint.channels is None else list(endpoint.channels),
        throttle_rate=endpoint.throttle_rate,
        rate_limit=endpoint.throttle_rate,
        metadata=dict(endpoint.metadata),
        created_at=format_time(endpoint.created_at_ms),
        updated_at=format_time(endpoint.updated_at_ms),
        dialect=endpoint.dialect,
        options=dict(endpoint.options),
        policy=_render_policy(endpoint),
        ordered=endpoint.ordered,
        paused=endpoint.status is EndpointStatus.PAUSED,
        status_reason=endpoint.status_reason,
        filter=None if endpoint.extras.filter is None else dict(endpoint.extras.filter),
        ordered_by=endpoint.extras.order_key,
        auth=auth if credentials else hide_auth(auth),
        client_certificate=render_certificate(endpoint.extras.client_certificate),
        ca_pem=endpoint.extras.ca_pem,
        transform=endpoint.extras.transform,
    )


def render_event_type(event_type: EventType) -> EventTypeOut:
    flags = None if event_type.feature_flags is None else list(event_type.feature_flags)
    return EventTypeOut(
        name=event_type.name,
        description=event_type.description,
        archived=event_type.archived,
        deprecated=event_type.deprecated,
        schemas=None if event_type.schemas is None else dict(event_type.schemas),
        feature_flags=flags,
        feature_flag=flags[0] if flags else None,
        group_name=event_type.group_name,
        created_at=format_time(event_type.created_at_ms),
        updated_at=format_time(event_type.updated_at_ms),
    )


def _render_policy(endpoint: Endpoint) -> PolicyShape | None:
    if endpoint.policy is None:
        return None
    members = msgspec.structs.asdict(endpoint.policy)
    return PolicyShape(**{**members, "schedule_s": list(endpoint.policy.schedule_s)})


def render_delivery(endpoint: Endpoint, delivery: DeliveryView, *, credentials: bool) -> MessageEndpointOut:
    status = SVIX_STATUS[delivery.state]
    upcoming = delivery.next_attempt_at_ms
    return MessageEndpointOut(
        **{
            **render_endpoint(endpoint, credentials=credentials).model_dump(),
            "status": status,
            "status_text": SVIX_STATUS_TEXT[status],
            "next_attempt": None if upcoming is None else format_time(upcoming),
        }
    )


def write_message(message: Message, *, with_content: bool) -> bytes:
    """A MessageOut, around the payload as it was sent."""
    payload = EXPUNGED if message.payload_expired else message.payload if with_content else b"{}"
    written = b'{"id":"%b","eventType":"%b","eventId":%b,"channels":%b,"payload":%b,"timestamp":"%b"}' % (
        message.id.encode(),
        message.event_type.encode(),  # its grammar has nothing that JSON would escape
        b"null" if message.event_id is None else orjson.dumps(message.event_id),
        orjson.dumps(message.channels) if message.channels else b"null",
        payload,
        format_time(message.created_at_ms).encode(),
    )
    if message.tags:
        written = b'%b,"tags":%b}' % (written[:-1], orjson.dumps(message.tags))
    if message.deliver_at_ms is not None:
        written = b'%b,"deliverAt":"%b"}' % (written[:-1], format_time(message.deliver_at_ms).encode())
    return written


def write_endpoint_message(row: EndpointMessage, *, with_content: bool) -> bytes:
    """A message, and where its delivery to the endpoint stands."""
    status = SVIX_STATUS[row.delivery.state]
    upcoming = row.delivery.next_attempt_at_ms
    standing = {
        "status": status,
        "statusText": SVIX_STATUS_TEXT[status],
        "nextAttempt": None if upcoming is None else format_time(upcoming),
    }
    return b"%b,%b" % (write_message(row.message, with_content=with_content)[:-1], orjson.dumps(standing)[1:])


def write_attempt(
    attempt: Attempt, *, with_content: bool, message: bytes | None = None, status: int | None = None
) -> bytes:
    """An attempt, with its message (as `write_message` wrote it) when that was asked for. `status` replaces its own."""
    if status is None:
        status = _ATTEMPT_STATUS[attempt.status]
    upcoming = attempt.next_attempt_at_ms
    body = orjson.dumps(
        {
            "id": attempt.id,
            "url": attempt.url,
            "response": attempt.response_body.decode("utf-8", "replace") if with_content else "{}",
            "responseStatusCode": attempt.response_status,
            "responseDurationMs": attempt.duration_ms,
            "status": status,
            "statusText": SVIX_STATUS_TEXT[status],
            "triggerType": 1 if attempt.kind is Kind.MANUAL else 0,
            "msgId": attempt.message_id,
            "endpointId": attempt.endpoint_id,
            "timestamp": format_time(attempt.created_at_ms),
            "reason": attempt.reason,
            "detail": attempt.detail,
            "attemptNumber": attempt.number,
            "final": attempt.final,
            "nextAttempt": None if upcoming is None else format_time(upcoming),
        }
    )
    return body if message is None else b'%b,"msg":%b}' % (body[:-1], message)


def write_list(items: list[bytes], iterator: str | None, previous: str | None, *, done: bool) -> bytes:
    """A ListOut of items that are written already."""
    members = {"iterator": iterator, **({} if previous is None else {"prevIterator": previous}), "done": done}
    return b'{"data":[%b],%b' % (b",".join(items), orjson.dumps(members)[1:])
