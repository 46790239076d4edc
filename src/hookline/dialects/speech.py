"""`speech`: the callbacks of Azure Speech's batch transcription.

* `version` v2.1 (the default): the body is the entity itself, the payload as sent.
* `version` v3: the body is a notification, `{"self": <link to the entity>, "invocationId": <UUID>}`. The payload is
  the entity, or just an object with its `self`; only that link goes out, and the receiver fetches the rest. The
  invocation id is the message's own in a UUID's form: the same on every attempt, so a receiver can deduplicate.
* An event `Ping` is the hook itself in both versions, sent whole.

`X-MicrosoftSpeechServices-Event` is the event type as given (receivers compare it in PascalCase, with regard to
case). `X-MicrosoftSpeechServices-Signature` is there when the endpoint has a secret: base64 of
HMAC-SHA256(UTF-8 of the secret, body). It covers no time and no id, so a `webhook-id` goes beside it.
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
from hookline.dialects.writing import read_id_hex, read_json_payload, read_payload, unsuitable, write_uuid
from hookline.model import Endpoint, Message, RetryPolicy
from hookline.signatures import Encoding

PING = "Ping"
EVENT_HEADER = "X-MicrosoftSpeechServices-Event"
SIGNATURE_HEADER = "X-MicrosoftSpeechServices-Signature"


class SpeechOptions(msgspec.Struct, frozen=True):
    """`version` is "v2.1" (the entity is sent) or "v3" (a notification that links to it)."""

    version: Literal["v2.1", "v3"] = "v2.1"


class _Linked(msgspec.Struct, frozen=True):
    """An entity of v3, of which only the link matters."""

    link: str = msgspec.field(name="self")


_read_linked = msgspec.json.Decoder(_Linked).decode


class PreparedSpeech:
    """An endpoint of the `speech` dialect, ready to build."""

    __slots__ = ("_headers", "_is_notification", "_signing", "_url")

    def __init__(self, url: str, headers: Headers, signing: BodySigning | None, *, is_notification: bool) -> None:
        self._url = url
        self._headers = headers
        self._signing = signing
        self._is_notification = is_notification

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        if self._is_notification and message.event_type != PING:
            body = _write_notification(message)
        else:
            body = read_payload(message)
        headers: Headers = (
            *self._headers,
            ("webhook-id", encode_header_text(message.id)),
            (EVENT_HEADER, encode_header_text(message.event_type)),
        )
        if self._signing is not None:
            headers = (*headers, (SIGNATURE_HEADER, self._signing.at(attempt.now_ms).sign(body)))
        return OutgoingRequest("POST", self._url, headers, body)


class SpeechDialect:
    """Azure Speech callbacks; five retries, a second apart, then it gives up."""

    name = "speech"
    default_policy = RetryPolicy(schedule_s=(1, 1, 1, 1, 1), jitter=0.0)
    takes_schedule_override = False
    secret_form = SecretForm.TEXT

    def check_options(self, options: Mapping[str, object]) -> None:
        read_options(options, SpeechOptions, self.name)

    def prepare(self, endpoint: Endpoint) -> PreparedSpeech:
        options = read_options(endpoint.options, SpeechOptions, self.name)
        headers = build_static_headers(JSON_CONTENT_TYPE, USER_AGENT, endpoint.headers)
        signing = prepare_body(endpoint, Encoding.BASE64)
        return PreparedSpeech(endpoint.url, headers, signing, is_notification=options.version == "v3")


def _write_notification(message: Message) -> bytes:
    try:
        entity = _read_linked(read_json_payload(message))
    except (msgspec.DecodeError, RecursionError):
        # Failure policy: closed. A notification without a link tells its receiver nothing.
        raise unsuitable("has no `self`, the link that a v3 notification consists of") from None
    return msgspec.json.encode({"self": entity.link, "invocationId": write_uuid(read_id_hex(message))})
