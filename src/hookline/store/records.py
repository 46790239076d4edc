"""Entities as rows and back, the same for both databases: tuples in the order of the table's columns.

Lists of names are text joined with ','. JSON is text. Secrets, headers and extras are sealed. More than
`INLINE_TARGETS` targets of a message stand once in `hookline_fanouts` and the message has `#` and their hash. Whoever
reads a message must have expanded that (each database does it in its SELECT).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hookline.model import (
    NO_EXTRAS,
    ApiKey,
    Application,
    Attempt,
    AttemptStatus,
    DeliveryState,
    Endpoint,
    EndpointSecret,
    EndpointStatus,
    EventType,
    Extras,
    Kind,
    Message,
    Organization,
    OrganizationSettings,
    RetryPolicy,
)
from hookline.model.policy import HOPELESS
from hookline.store.changes import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hookline.store.sealing import KeyRing

INLINE_TARGETS: Final = 64
SECRETS_COLUMN: Final = "hookline_endpoints:secrets"
HEADERS_COLUMN: Final = "hookline_endpoints:headers"
EXTRAS_COLUMN: Final = "hookline_endpoints:extras"

STATUS_NUMBER: Final = {AttemptStatus.SUCCEEDED: 0, AttemptStatus.FAILED: 2, AttemptStatus.CANCELED: 4}
STATUS_OF_NUMBER: Final = {number: status for status, number in STATUS_NUMBER.items()}
_KIND_OF_TEXT: Final = {kind.value: kind for kind in Kind}
_ABORT_REASONS: Final = frozenset({"gone", "disabled_by_receiver", "aborted_by_receiver"}) | HOPELESS

_encode = msgspec.json.Encoder().encode
_decode_strings = msgspec.json.Decoder(dict[str, str]).decode
_decode_options = msgspec.json.Decoder(dict[str, object]).decode
_decode_policy = msgspec.json.Decoder(RetryPolicy).decode
_decode_extras = msgspec.json.Decoder(Extras).decode
_decode_secrets = msgspec.json.Decoder(tuple[EndpointSecret, ...]).decode

_decode_settings = msgspec.json.Decoder(OrganizationSettings).decode

Row = tuple[Any, ...]


def join_names(names: Iterable[str] | None) -> str | None:
    """None stays None («all»); no names at all are ''."""
    return None if names is None else ",".join(names)


def split_names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(text.split(",")) if text else ()


# --- applications, endpoints, API keys --------------------------------------------------------------------------------


def application_to_row(application: Application) -> Row:
    """Give id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version."""
    a = application
    return (
        a.id,
        a.org_id,
        a.uid,
        a.name,
        a.throttle_rate,
        _encode(a.metadata).decode(),
        a.created_at_ms,
        a.updated_at_ms,
        a.routing_version,
    )


def application_from_row(row: Sequence[Any]) -> Application:
    """Read the columns that `application_to_row` gives."""
    identifier, org_id, uid, name, throttle_rate, metadata, created, updated, version = row
    return Application(
        identifier, org_id, uid, name, throttle_rate, _decode_strings(metadata), created, updated, version
    )


def endpoint_to_row(endpoint: Endpoint, key_ring: KeyRing) -> Row:
    """Give all columns of hookline_endpoints in their order, but deleted_at_ms."""
    e = endpoint
    return (
        e.id,
        e.org_id,
        e.app_id,
        e.uid,
        e.url,
        e.description,
        e.version,
        e.dialect,
        e.status.value,
        e.status_reason,
        join_names(e.event_types),
        join_names(e.channels),
        key_ring.seal(_encode(e.secrets), SECRETS_COLUMN, e.id),
        key_ring.seal(_encode(e.headers), HEADERS_COLUMN, e.id),
        None if e.policy is None else _encode(e.policy).decode(),
        _encode(e.options).decode(),
        e.ordered,
        e.throttle_rate,
        _encode(e.metadata).decode(),
        e.created_at_ms,
        e.updated_at_ms,
        None if e.extras == NO_EXTRAS else key_ring.seal(_encode(e.extras), EXTRAS_COLUMN, e.id),
        e.keyed,
    )


def endpoint_from_row(row: Sequence[Any], key_ring: KeyRing) -> Endpoint:
    """Read the columns that `endpoint_to_row` gives, but for the last, which follows from the others.

    Raises:
        KeyCheckError: the secrets do not open with this key ring.
    """
    identifier, policy, extras = row[0], row[14], row[21]
    return Endpoint(
        id=identifier,
        org_id=row[1],
        app_id=row[2],
        uid=row[3],
        url=row[4],
        description=row[5],
        version=row[6],
        dialect=row[7],
        status=EndpointStatus(row[8]),
        status_reason=row[9],
        event_types=split_names(row[10]),
        channels=split_names(row[11]),
        secrets=_decode_secrets(key_ring.open(row[12], SECRETS_COLUMN, identifier)),
        headers=_decode_strings(key_ring.open(row[13], HEADERS_COLUMN, identifier)),
        policy=None if policy is None else _decode_policy(policy),
        options=_decode_options(row[15]),
        ordered=bool(row[16]),
        throttle_rate=row[17],
        metadata=_decode_strings(row[18]),
        created_at_ms=row[19],
        updated_at_ms=row[20],
        extras=NO_EXTRAS if extras is None else _decode_extras(key_ring.open(extras, EXTRAS_COLUMN, identifier)),
    )


def api_key_to_row(key: ApiKey) -> Row:
    """Give all columns of hookline_api_keys in their order."""
    return msgspec.structs.astuple(key)


def api_key_from_row(row: Sequence[Any]) -> ApiKey:
    """Read the columns that `api_key_to_row` gives."""
    return ApiKey(*row)


# --- organizations and event types -----------------------------------------------------------------------------------


def settings_to_text(settings: OrganizationSettings) -> str:
    """Only what differs from the default: a default that changes later changes for everybody who has said nothing."""
    return _encode(settings).decode()


def organization_from_row(org_id: str, row: Sequence[Any] | None) -> Organization:
    """Read id, settings, catalog_version; an organization without a row has said nothing yet."""
    if row is None:
        return Organization(org_id, OrganizationSettings(), 0)
    return Organization(row[0], _decode_settings(row[1]), row[2])


def event_type_to_row(event_type: EventType) -> Row:
    """Give all columns of hookline_event_types in their order."""
    t = event_type
    return (
        t.org_id,
        t.name,
        t.description,
        t.archived,
        t.deprecated,
        None if t.schemas is None else _encode(t.schemas).decode(),
        join_names(t.feature_flags),
        t.group_name,
        t.created_at_ms,
        t.updated_at_ms,
    )


def event_type_from_row(row: Sequence[Any]) -> EventType:
    """Read the columns that `event_type_to_row` gives."""
    org_id, name, description, archived, deprecated, schemas, flags, group_name, created, updated = row
    return EventType(
        org_id,
        name,
        description,
        bool(archived),
        bool(deprecated),
        None if schemas is None else _decode_options(schemas),
        split_names(flags),
        group_name,
        created,
        updated,
    )


# --- messages and what is owed ----------------------------------------------------------------------------------------


def targets_to_text(targets: Sequence[str]) -> tuple[str, str | None]:
    """The targets as a message's column, and the hash of the fanout row to write (None: they stand in the column)."""
    text = ",".join(targets)
    if len(targets) <= INLINE_TARGETS:
        return text, None
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"#{digest}", digest


def message_to_row(message: Message, targets: str) -> Row:
    """Give all columns of hookline_messages in their order but payload_expired; `targets` is from `targets_to_text`."""
    m = message
    return (
        m.app_id,
        m.id,
        m.org_id,
        m.event_type,
        m.event_id,
        ",".join(m.channels) or None,
        m.payload,
        targets,
        m.note,
        m.created_at_ms,
        m.payload_expires_at_ms,
        ",".join(m.tags) or None,
        m.deliver_at_ms,
    )


def message_from_row(row: Sequence[Any]) -> Message:
    """Read all columns of hookline_messages in their order, `targets` already expanded from its fanout row."""
    app_id, identifier, org_id, event_type, event_id, channels, payload, targets, note, created, *rest = row
    expires, expired, tags, deliver_at = rest
    return Message(
        identifier,
        org_id,
        app_id,
        event_type,
        payload,
        tuple(targets.split(",")) if targets else (),
        created,
        event_id,
        tuple(channels.split(",")) if channels else (),
        note,
        expires,
        bool(expired),
        tuple(tags.split(",")) if tags else (),
        deliver_at,
    )


def members_to_text(messages: Iterable[Message]) -> str:
    """The members of a batch: `app_id/message_id` joined with ' '."""
    return " ".join([f"{message.app_id}/{message.id}" for message in messages])


def members_from_text(text: str) -> list[tuple[str, str]]:
    """Read (app_id, message_id) of each member; none for a tombstone."""
    return [(app_id, message_id) for app_id, _, message_id in (member.partition("/") for member in text.split())]


# --- attempts ---------------------------------------------------------------------------------------------------------


def attempt_to_row(attempt: Attempt, *, final: bool | None = None) -> Row:
    """Give all columns of hookline_attempts in their order; `final` replaces the attempt's own (a late failure)."""
    a = attempt
    return (
        a.id,
        a.app_id,
        a.message_id,
        a.endpoint_id,
        a.kind.value,
        a.number,
        a.url,
        STATUS_NUMBER[a.status],
        a.final if final is None else final,
        a.reason,
        a.detail,
        a.response_status,
        a.response_body,
        a.duration_ms,
        a.created_at_ms,
        a.next_attempt_at_ms,
    )


def attempt_from_row(row: Sequence[Any]) -> Attempt:
    """Read the columns that `attempt_to_row` gives."""
    identifier, app_id, message_id, endpoint_id, kind, number, url, status, final, *rest = row
    return Attempt(
        identifier,
        app_id,
        message_id,
        endpoint_id,
        _KIND_OF_TEXT[kind],
        number,
        url,
        STATUS_OF_NUMBER[status],
        bool(final),
        *rest,
    )


def state_of_end(status: AttemptStatus, reason: str) -> DeliveryState:
    """The state of a delivery that has this final attempt."""
    if status is AttemptStatus.SUCCEEDED:
        return DeliveryState.SUCCEEDED
    if status is AttemptStatus.CANCELED:
        return DeliveryState.CANCELED
    return DeliveryState.ABORTED if reason in _ABORT_REASONS else DeliveryState.EXHAUSTED


# --- the outbox -------------------------------------------------------------------------------------------------------


def outbox_from_row(row: Sequence[Any]) -> OutboxRow:
    """Read id, org_id, app, event_type, payload, event_id, channels. Applications write this row: text is bytes too."""
    identifier, org_id, app, event_type, payload, event_id, channels = row
    content = payload.encode() if isinstance(payload, str) else bytes(payload)
    return OutboxRow(identifier, org_id, app, event_type, content, event_id, split_names(channels or None) or ())
