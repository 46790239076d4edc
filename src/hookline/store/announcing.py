"""Operational webhooks: what a change of the store has to say, and to whom. Pure, the same for both databases.

    a change ──in its own transaction──> does anybody listen? ──no──> nothing is written
                                               └──yes──> a row of the outbox; the Relay makes a message of it

Ids follow from what happened, not from when it was written: an attempt that is written twice is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from hookline.model import Attempt, AttemptStatus, Endpoint, EndpointStatus, Kind
from hookline.model.operational import (
    ATTEMPT_EXHAUSTED,
    ATTEMPT_FAILING,
    ATTEMPT_RECOVERED,
    ENDPOINT_CREATED,
    ENDPOINT_DISABLED,
    ENDPOINT_ENABLED,
    ENDPOINT_UPDATED,
    FAILING_AFTER,
    TRIGGER_AUTOMATIC,
    TRIGGER_MANUAL,
)
from hookline.model.times import write_rfc3339
from hookline.store.changes import Outcome

REQUESTED: Final = "requested"  # the reason of what somebody asked for

_encode = msgspec.json.Encoder().encode


class Listener(msgspec.Struct, frozen=True):
    """The operations application that hears of what happens in an application, and that one's uid."""

    org_id: str
    app_id: str
    app_uid: str | None


class Announcement(msgspec.Struct, frozen=True):
    """Something that happened in the application `app_id`, or (None) in the organization as a whole. With
    `message_id`, the message's eventId is told as well.
    """

    event_type: str
    event_id: str
    app_id: str | None
    data: dict[str, Any]
    message_id: str | None = None

    def write(self, app_uid: str | None, msg_event_id: str | None) -> bytes:
        """The payload."""
        named = {"appId": self.app_id, "appUid": app_uid}
        if self.message_id is not None:
            named["msgEventId"] = msg_event_id
        return _encode({"type": self.event_type, "data": {**named, **self.data}})


def of_endpoint(event_type: str, app_id: str, endpoint_id: str, uid: str | None, at_ms: int | None) -> Announcement:
    """An endpoint was created, deleted (`at_ms` of None: that happens once), or changed at `at_ms`."""
    moment = "" if at_ms is None else f".{at_ms}"
    data = {"endpointId": endpoint_id, "endpointUid": uid}
    return Announcement(event_type, f"{event_type}.{endpoint_id}{moment}", app_id, data)


def of_created(endpoint: Endpoint) -> list[Announcement]:
    return [of_endpoint(ENDPOINT_CREATED, endpoint.app_id, endpoint.id, endpoint.uid, None)]


def of_updated(before: str, endpoint: Endpoint) -> list[Announcement]:
    """A change on request; `before` is the status that the endpoint had."""
    owner = (endpoint.app_id, endpoint.id, endpoint.uid)
    found = [of_endpoint(ENDPOINT_UPDATED, *owner, endpoint.updated_at_ms)]
    is_disabled = endpoint.status is EndpointStatus.DISABLED
    if is_disabled and before != EndpointStatus.DISABLED:
        found.append(of_disabled(*owner, endpoint.updated_at_ms, endpoint.status_reason or REQUESTED))
    elif before == EndpointStatus.DISABLED and not is_disabled:
        found.append(of_endpoint(ENDPOINT_ENABLED, *owner, endpoint.updated_at_ms))
    return found


def of_disabled(
    app_id: str,
    endpoint_id: str,
    uid: str | None,
    at_ms: int,
    reason: str,
    *,
    failing_since_ms: int | None = None,
    detail: str | None = None,
) -> Announcement:
    """An endpoint was disabled at `at_ms`: on request, or by itself."""
    base = of_endpoint(ENDPOINT_DISABLED, app_id, endpoint_id, uid, at_ms)
    more = {
        "failSince": None if failing_since_ms is None else write_rfc3339(failing_since_ms),
        "trigger": TRIGGER_MANUAL if reason == REQUESTED else TRIGGER_AUTOMATIC,
        "reason": reason,
        "detail": detail,
    }
    return msgspec.structs.replace(base, data={**base.data, **more})


def of_outcomes(outcomes: Iterable[Outcome]) -> list[Announcement]:
    """What the outcomes of attempts have to say. Late failures and what somebody tried by hand say nothing."""
    found: list[Announcement] = []
    for outcome in outcomes:
        attempt = outcome.attempt
        if attempt.number < FAILING_AFTER and not attempt.final:
            continue
        if attempt.status is AttemptStatus.SUCCEEDED:
            if attempt.number > FAILING_AFTER:
                found.append(of_attempt(ATTEMPT_RECOVERED, attempt))
        elif outcome.late or attempt.kind is not Kind.SCHEDULED or attempt.status is AttemptStatus.CANCELED:
            continue
        elif attempt.final:
            found.append(of_attempt(ATTEMPT_EXHAUSTED, attempt))
        elif attempt.number == FAILING_AFTER:
            found.append(of_attempt(ATTEMPT_FAILING, attempt))
    return found


def of_ends(attempts: Iterable[Attempt]) -> list[Announcement]:
    """Deliveries that were given up without a request."""
    return [of_attempt(ATTEMPT_EXHAUSTED, attempt) for attempt in attempts if attempt.kind is Kind.SCHEDULED]


def of_attempt(event_type: str, attempt: Attempt) -> Announcement:
    """A delivery got into trouble, or out of it, by this attempt."""
    data = {
        "endpointId": attempt.endpoint_id,
        "msgId": attempt.message_id,
        "lastAttempt": {
            "id": attempt.id,
            "responseStatusCode": attempt.response_status,
            "timestamp": write_rfc3339(attempt.created_at_ms),
        },
    }
    return Announcement(event_type, f"{event_type}.{attempt.id}", attempt.app_id, data, attempt.message_id)


def outbox_row(one: Announcement, listener: Listener, msg_event_id: str | None) -> tuple[str, str, str, bytes, str]:
    """Give org_id, app, event_type, payload, event_id of hookline_outbox."""
    payload = one.write(listener.app_uid, msg_event_id)
    return (listener.org_id, listener.app_id, one.event_type, payload, one.event_id)


def message_keys(announcements: Sequence[Announcement]) -> list[tuple[str, str]]:
    """Application and id of the messages whose eventId is wanted."""
    return sorted(
        {(one.app_id, one.message_id) for one in announcements if one.app_id is not None and one.message_id is not None}
    )
