"""The JSON of applications and endpoints, in and out. camelCase on the wire; unknown members are ignored, as Svix does.

Members that Svix does not have are Hookline's own (`dialect`, `options`, `policy`, `ordered`, `paused`, `statusReason`)
and always optional. What was left out and what is null are different things in a PATCH: `model_fields_set` tells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import CoreSchema

from hookline.server.surfaces.svix.auth_shapes import AuthIn, AuthOut, ClientCertificateIn, ClientCertificateOut
from hookline.server.surfaces.svix.shape import Shape

T = TypeVar("T")


class ApplicationIn(Shape):
    name: str
    uid: str | None = None
    throttle_rate: int | None = None
    rate_limit: Annotated[int | None, Field(json_schema_extra={"deprecated": True})] = None
    metadata: dict[str, str] | None = None


class ApplicationPatch(Shape):
    name: str | None = None
    uid: str | None = None
    throttle_rate: int | None = None
    rate_limit: Annotated[int | None, Field(json_schema_extra={"deprecated": True})] = None
    metadata: dict[str, str] | None = None


class ApplicationOut(Shape):
    id: str
    uid: str | None
    name: str
    throttle_rate: int | None
    rate_limit: int | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str


class PolicyShape(Shape):
    """How an endpoint is retried; what is left out stays as the dialect has it."""

    schedule_s: Annotated[list[float] | None, Field(description="Seconds before each retry.")] = None
    timeout_s: Annotated[float | None, Field(description="Seconds that one attempt may take.")] = None
    jitter: Annotated[float | None, Field(description="Share by which a delay may grow or shrink.")] = None
    retry_after_cap_s: Annotated[float | None, Field(description="Longest Retry-After that is honoured.")] = None
    final_client_errors: Annotated[bool | None, Field(description="4xx (but 408, 429) end the delivery.")] = None


class EndpointFields(Shape):
    """What creation, replacement and partial update have in common."""

    description: str | None = None
    uid: str | None = None
    version: int | None = None
    event_types: list[str] | None = None
    filter_types: Annotated[list[str] | None, Field(description="The older name of `eventTypes`.")] = None
    channels: list[str] | None = None
    disabled: bool | None = None
    throttle_rate: int | None = None
    rate_limit: Annotated[int | None, Field(json_schema_extra={"deprecated": True})] = None
    metadata: dict[str, str] | None = None
    secret: Annotated[str | None, Field(repr=False)] = None
    headers: Annotated[dict[str, str] | None, Field(repr=False)] = None
    dialect: str | None = None
    options: dict[str, Any] | None = None
    policy: PolicyShape | None = None
    ordered: bool | None = None
    paused: bool | None = None
    filter: Annotated[dict[str, Any] | None, Field(description="Conditions on the payload.")] = None
    ordered_by: Annotated[str | None, Field(description="The path in the payload by which it is ordered.")] = None
    auth: AuthIn | None = None
    client_certificate: ClientCertificateIn | None = None
    ca_pem: Annotated[str | None, Field(description="Authorities to trust beside the usual ones, in PEM form.")] = None
    transform: Annotated[str | None, Field(description="JMESPath: its result is sent instead of the payload.")] = None


class EndpointIn(EndpointFields):
    url: str


class EndpointPatch(EndpointFields):
    url: str | None = None


class EndpointHealthOut(Shape):
    """Whether an endpoint gets what it is sent. `state`: healthy, failing, disabled or paused."""

    state: str
    failing_since: str | None
    disabled_at: str | None
    reason: str | None
    detail: str | None


class EndpointOut(Shape):
    id: str
    uid: str | None
    url: str
    description: str
    version: int
    disabled: bool
    event_types: list[str] | None
    filter_types: list[str] | None
    channels: list[str] | None
    throttle_rate: int | None
    rate_limit: int | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str
    dialect: str
    options: dict[str, Any]
    policy: PolicyShape | None
    ordered: bool
    paused: bool
    status_reason: str | None
    health: Annotated[EndpointHealthOut | None, Field(description="Null where nobody looked.")] = None
    filter: dict[str, Any] | None
    ordered_by: str | None
    auth: AuthOut | None
    client_certificate: ClientCertificateOut | None
    ca_pem: str | None
    transform: str | None


class SecretOut(Shape):
    """What a receiver verifies with. An Ed25519 key also has a name, and an address where it and its successors are."""

    key: Annotated[str, Field(repr=False)]
    kid: Annotated[str | None, Field(description="The key's name in the JWK Set.")] = None
    jwks_url: Annotated[str | None, Field(description="The JWK Set of this endpoint.")] = None


class SecretRotateIn(Shape):
    key: Annotated[str | None, Field(repr=False)] = None
    grace_period_seconds: int | None = None


class HeadersIn(Shape):
    headers: Annotated[dict[str, str], Field(repr=False)]


class HeadersPatch(Shape):
    """Members that are null, and names in `deleteHeaders`, are removed."""

    headers: Annotated[dict[str, str | None], Field(repr=False)]
    delete_headers: list[str] | None = None


class HeadersOut(Shape):
    headers: Annotated[dict[str, str], Field(repr=False)]
    sensitive: list[str]


class ListOut(Shape, Generic[T]):
    """A page. `iterator` leads to the next one; `prevIterator`, left out of an empty page, to the one before."""

    data: list[T]
    iterator: str | None
    prev_iterator: str | None = None
    done: bool

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        members: dict[str, Any] = handler(self)
        for name in ("prevIterator", "prev_iterator"):
            if name in members and members[name] is None:
                del members[name]
        return members

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What the description says of it: the members, which the serializer above would hide."""
        return handler(cast("CoreSchema", {key: part for key, part in core_schema.items() if key != "serialization"}))


class MessageOut(Shape):
    """A message. `payload` is `{}` when it was not asked for, and `{"expired": true}` when it is gone."""

    id: str
    event_type: str
    event_id: str | None
    channels: list[str] | None
    payload: dict[str, Any]
    timestamp: str
    tags: list[str] | None = None
    deliver_at: str | None = None


class BulkExpungeIn(Shape):
    ids: Annotated[list[str] | None, Field(description="Ids or eventIds of messages.")] = None


class BulkExpungeOut(Shape):
    results: dict[str, Literal["expunged", "not-found"]]


class EndpointMessageOut(MessageOut):
    """A message, and where its delivery to one endpoint stands."""

    status: int
    status_text: str
    next_attempt: str | None


class AttemptOut(Shape):
    """One request. `responseStatusCode` is 0 when there was no answer; `reason` and `detail` then say why."""

    id: str
    url: str
    response: str
    response_status_code: int
    response_duration_ms: int
    status: int
    status_text: str
    trigger_type: int
    msg_id: str
    endpoint_id: str
    timestamp: str
    reason: str
    detail: str
    attempt_number: int
    final: bool
    next_attempt: str | None
    msg: MessageOut | None = None


class MessageEndpointOut(EndpointOut):
    """An endpoint that a message was for, and where its delivery stands."""

    status: int
    status_text: str
    next_attempt: str | None


class EndpointStatsOut(Shape):
    """Deliveries to an endpoint by where they stand."""

    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class EndpointAttemptStatsOut(Shape):
    """Attempts at an endpoint by what they came to."""

    success: int
    fail: int
    canceled: int


class MessageIn(Shape):
    """For the API's description; messages are read by `message_body`, which keeps the payload's own bytes."""

    event_type: str
    payload: dict[str, Any]
    event_id: str | None = None
    channels: list[str] | None = None
    payload_retention_period: Annotated[int | None, Field(description="Days until the payload is emptied.")] = None
    payload_retention_hours: Annotated[int | None, Field(description="The same in hours; not both.")] = None
    tags: Annotated[list[str] | None, Field(description="Names that lists filter by, at most 5.")] = None
    deliver_at: Annotated[datetime | None, Field(description="When it goes out, at most 7 days ahead.")] = None
    application: ApplicationIn | None = None


class EventTypeFields(Shape):
    """What creation, replacement and partial update have in common."""

    archived: bool | None = None
    deprecated: bool | None = None
    schemas: Annotated[
        dict[str, Any] | None, Field(description='JSON Schemas of the payload by version: `{"1": {...}}`.')
    ] = None
    feature_flags: Annotated[
        list[str] | None, Field(description="Only customers whose token carries one of them see the type.")
    ] = None
    feature_flag: Annotated[str | None, Field(description="The older form of `featureFlags`.")] = None
    group_name: str | None = None


class EventTypeIn(EventTypeFields):
    name: str
    description: str


class EventTypeUpdate(EventTypeFields):
    description: str


class EventTypePatch(EventTypeFields):
    description: str | None = None


class EventTypeOut(Shape):
    """An event type. `schemas` is null when there are none, and when they were not asked for."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: dict[str, Any] | None
    feature_flags: list[str] | None
    feature_flag: str | None
    group_name: str | None
    created_at: str
    updated_at: str


class EventExampleIn(Shape):
    """An example of an event type. A `payload` of one's own is for those only who may send messages."""

    event_type: str
    example_index: Annotated[int | None, Field(description="Which of the schema's `examples`, counted from 0.")] = None
    payload: dict[str, Any] | None = None


class MessagePrecheckIn(Shape):
    event_type: str
    channels: list[str] | None = None


class MessagePrecheckOut(Shape):
    active: Annotated[bool, Field(description="Whether any endpoint would get such a message.")]


class EventTypeImportIn(Shape):
    """An OpenAPI document, either as JSON or as a text of JSON or YAML."""

    spec: dict[str, Any] | None = None
    spec_raw: str | None = None
    dry_run: Annotated[bool | None, Field(description="Only say what would change.")] = None
    replace_all: Annotated[bool | None, Field(description="Archive all types that are not in the document.")] = None


class EventTypeImported(Shape):
    """An event type as an import leaves it."""

    name: str
    description: str
    deprecated: bool
    schemas: dict[str, Any] | None
    feature_flags: list[str] | None
    group_name: str | None


class EventTypeImportData(Shape):
    """`modified` names what changed, or would have changed; `to_modify` has more of it, when nothing was changed."""

    modified: list[str]
    to_modify: Annotated[list[EventTypeImported] | None, Field(alias="to_modify")] = None


class EventTypeImportOut(Shape):
    data: EventTypeImportData
