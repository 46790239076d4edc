"""`cloudevents`: CloudEvents 1.0.2 over HTTP, with the Standard Webhooks headers beside.

* `mode` binary (the default): attributes in `ce-*` headers, the body is the payload as sent.
* `mode` structured: one JSON object, `application/cloudevents+json`.
* `mode` batch: an array of one such object, `application/cloudevents-batch+json`.

`id` is the message's, `type` the event type, `time` the moment of acceptance, `source` the option of that name or
`/applications/<application id>`. Header values are percent-encoded as the HTTP binding, section 3.1.3.2, says. The
signature always covers the body alone, so in binary mode the `ce-*` headers are not signed; `ce-id` equals the signed
`webhook-id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from hookline.dialects.headers import (
    JSON_CONTENT_TYPE,
    USER_AGENT,
    Headers,
    build_static_headers,
    encode_header_text,
)
from hookline.dialects.options import read_options
from hookline.dialects.protocol import AttemptContext, OutgoingRequest, SecretForm
from hookline.dialects.signing import StandardSigning, prepare_standard
from hookline.dialects.writing import read_json_payload, read_payload, write_json_string
from hookline.model import Endpoint, Message, RetryPolicy
from hookline.model.times import write_rfc3339

# What RFC 3986 allows in a URI reference, non-empty as CloudEvents demands.
_SOURCE = r"\A([A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+\Z"
_CONTENT_TYPES = {
    "binary": JSON_CONTENT_TYPE,
    "structured": "application/cloudevents+json",
    "batch": "application/cloudevents-batch+json",
}


class CloudEventsOptions(msgspec.Struct, frozen=True):
    """`mode` is "binary", "structured" or "batch"; `source` is a URI reference of at most 1,024 characters."""

    mode: Literal["binary", "structured", "batch"] = "binary"
    source: Annotated[str, msgspec.Meta(pattern=_SOURCE, max_length=1024)] = ""


class PreparedCloudEvents:
    """An endpoint of the `cloudevents` dialect, ready to build."""

    __slots__ = ("_headers", "_mode", "_signing", "_source_header", "_source_json", "_url")

    def __init__(self, url: str, headers: Headers, signing: StandardSigning, mode: str, source: str) -> None:
        self._url = url
        self._headers = headers
        self._signing = signing
        self._mode = mode
        self._source_header = encode_header_text(source)
        self._source_json = write_json_string(source)

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        headers = self._headers
        if self._mode == "binary":
            body = read_payload(message)
            headers += self._write_attributes(message)
        else:
            body = self._write_event(message)
            if self._mode == "batch":
                body = b"[%b]" % body
        timestamp_s = attempt.now_ms // 1000
        headers = (
            *headers,
            ("webhook-id", message.id),
            ("webhook-timestamp", str(timestamp_s)),
            ("webhook-signature", self._signing.at(attempt.now_ms).sign(message.id, timestamp_s, body)),
        )
        return OutgoingRequest("POST", self._url, headers, body)

    def _write_attributes(self, message: Message) -> Headers:
        return (
            ("ce-specversion", "1.0"),
            ("ce-id", encode_header_text(message.id)),
            ("ce-source", self._source_header),
            ("ce-type", encode_header_text(message.event_type)),
            ("ce-time", write_rfc3339(message.created_at_ms)),
        )

    def _write_event(self, message: Message) -> bytes:
        return (
            b'{"specversion":"1.0","id":%b,"source":%b,"type":%b,"time":"%b","datacontenttype":"application/json",'
            b'"data":%b}'
        ) % (
            write_json_string(message.id),
            self._source_json,
            write_json_string(message.event_type),
            write_rfc3339(message.created_at_ms).encode(),
            read_json_payload(message),
        )


class CloudEventsDialect:
    """CloudEvents 1.0.2 in binary, structured or batched mode; retried as `standard` is."""

    name = "cloudevents"
    default_policy = RetryPolicy()
    takes_schedule_override = True
    secret_form = SecretForm.STANDARD

    def check_options(self, options: Mapping[str, object]) -> None:
        read_options(options, CloudEventsOptions, self.name)

    def prepare(self, endpoint: Endpoint) -> PreparedCloudEvents:
        options = read_options(endpoint.options, CloudEventsOptions, self.name)
        headers = build_static_headers(_CONTENT_TYPES[options.mode], USER_AGENT, endpoint.headers)
        source = options.source or f"/applications/{endpoint.app_id}"
        return PreparedCloudEvents(endpoint.url, headers, prepare_standard(endpoint), options.mode, source)
