"""`plain`: webhooks as FastAPI applications declare and send them, without a standard behind them.

    {"event_id":"...","event_type":"...","timestamp":"2026-01-31T23:59:59.000Z","data":<the payload>}

or, with `envelope` false, the bare payload. `event_id` is the sender's own event id if the message has one, else the
message's id in a UUID's form; `timestamp` is when the event was accepted. The type is in `X-Webhook-Event`; with a
secret, `X-Webhook-Signature` is the hex HMAC-SHA256(UTF-8 of the secret, body). It covers no time, so receivers
deduplicate by `event_id` or `webhook-id`. The request uses the method that the webhook was declared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

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
from hookline.dialects.signing import BodySigning, prepare_body
from hookline.dialects.writing import (
    read_id_hex,
    read_json_payload,
    read_payload,
    write_json_string,
    write_uuid,
)
from hookline.model import Endpoint, Message, RetryPolicy
from hookline.model.times import write_rfc3339
from hookline.signatures import Encoding

EVENT_HEADER = "X-Webhook-Event"
SIGNATURE_HEADER = "X-Webhook-Signature"


class PlainOptions(msgspec.Struct, frozen=True):
    """`envelope` is true or false; `method` is "POST", "PUT", "PATCH" or "DELETE"."""

    envelope: bool = True
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"


class PreparedPlain:
    """An endpoint of the `plain` dialect, ready to build."""

    __slots__ = ("_headers", "_options", "_signing", "_url")

    def __init__(self, url: str, headers: Headers, signing: BodySigning | None, options: PlainOptions) -> None:
        self._url = url
        self._headers = headers
        self._signing = signing
        self._options = options

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        body = _write_envelope(message) if self._options.envelope else read_payload(message)
        headers: Headers = (
            *self._headers,
            ("webhook-id", encode_header_text(message.id)),
            (EVENT_HEADER, encode_header_text(message.event_type)),
        )
        if self._signing is not None:
            headers = (*headers, (SIGNATURE_HEADER, self._signing.at(attempt.now_ms).sign(body)))
        return OutgoingRequest(self._options.method, self._url, headers, body)


class PlainDialect:
    """Plain HMAC webhooks; three attempts, and a 4xx other than 408 and 429 is the last word."""

    name = "plain"
    default_policy = RetryPolicy(schedule_s=(1, 2), timeout_s=10.0, final_client_errors=True)
    takes_schedule_override = False
    secret_form = SecretForm.TEXT

    def check_options(self, options: Mapping[str, object]) -> None:
        read_options(options, PlainOptions, self.name)

    def prepare(self, endpoint: Endpoint) -> PreparedPlain:
        options = read_options(endpoint.options, PlainOptions, self.name)
        headers = build_static_headers(JSON_CONTENT_TYPE, USER_AGENT, endpoint.headers)
        return PreparedPlain(endpoint.url, headers, prepare_body(endpoint, Encoding.HEX), options)


def _write_envelope(message: Message) -> bytes:
    event_id = message.event_id or write_uuid(read_id_hex(message))
    return b'{"event_id":%b,"event_type":%b,"timestamp":"%b","data":%b}' % (
        write_json_string(event_id),
        write_json_string(message.event_type),
        write_rfc3339(message.created_at_ms).encode(),
        read_json_payload(message),
    )
