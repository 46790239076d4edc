"""`standard`: the payload as sent, signed by Standard Webhooks 1.0.0.

The three headers go out twice, as `webhook-*` and as `svix-*` with the same values, so that receivers built on either
family of libraries verify the same request.
"""

from __future__ import annotations

from collections.abc import Mapping

from hookline.dialects.headers import JSON_CONTENT_TYPE, USER_AGENT, Headers, build_static_headers
from hookline.dialects.options import NoOptions, read_options
from hookline.dialects.protocol import AttemptContext, OutgoingRequest, SecretForm
from hookline.dialects.signing import StandardSigning, prepare_standard
from hookline.dialects.writing import read_payload
from hookline.model import Endpoint, Message, RetryPolicy


class PreparedStandard:
    """An endpoint of the `standard` dialect, ready to build."""

    __slots__ = ("_headers", "_signing", "_url")

    def __init__(self, url: str, headers: Headers, signing: StandardSigning) -> None:
        self._url = url
        self._headers = headers
        self._signing = signing

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        message_id = message.id
        body = read_payload(message)
        timestamp_s = attempt.now_ms // 1000
        signature = self._signing.at(attempt.now_ms).sign(message_id, timestamp_s, body)
        timestamp = str(timestamp_s)
        headers = (
            *self._headers,
            ("webhook-id", message_id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
            ("svix-id", message_id),
            ("svix-timestamp", timestamp),
            ("svix-signature", signature),
        )
        return OutgoingRequest("POST", self._url, headers, body)


class StandardDialect:
    """Standard Webhooks, `v1` and `v1a`; ten attempts over 75 hours."""

    name = "standard"
    default_policy = RetryPolicy()
    takes_schedule_override = True
    secret_form = SecretForm.STANDARD

    def check_options(self, options: Mapping[str, object]) -> None:
        read_options(options, NoOptions, self.name)

    def prepare(self, endpoint: Endpoint) -> PreparedStandard:
        self.check_options(endpoint.options)
        headers = build_static_headers(JSON_CONTENT_TYPE, USER_AGENT, endpoint.headers)
        return PreparedStandard(endpoint.url, headers, prepare_standard(endpoint))
