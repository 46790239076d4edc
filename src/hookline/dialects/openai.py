"""`openai`: the event envelope of the OpenAI platform, signed by Standard Webhooks.

    {"object":"event","id":"evt_<32 hex>","type":"...","created_at":<Unix seconds>,"data":<the payload>}

`created_at` is when the event was accepted, `webhook-timestamp` is this attempt. `evt_` and the header's `wh_` have
the same 32 hex digits: those of the message's id. So both stay the same on every attempt, at every endpoint, and lead
back to the message. Source: the platform's webhook guide, and its Python SDK, whose `unwrap` must accept the result.
"""

from __future__ import annotations

from collections.abc import Mapping

from hookline.dialects.headers import JSON_CONTENT_TYPE, Headers, build_static_headers
from hookline.dialects.options import NoOptions, read_options
from hookline.dialects.protocol import AttemptContext, OutgoingRequest, SecretForm
from hookline.dialects.signing import StandardSigning, prepare_standard
from hookline.dialects.writing import read_id_hex, read_json_payload, write_json_string
from hookline.model import Endpoint, Message, RetryPolicy

USER_AGENT = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"

# 72 hours in all. The platform promises no more than "exponential, for up to 72 hours".
SCHEDULE_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 43_200, 43_200, 43_200, 29_845)


class PreparedOpenAI:
    """An endpoint of the `openai` dialect, ready to build."""

    __slots__ = ("_headers", "_signing", "_url")

    def __init__(self, url: str, headers: Headers, signing: StandardSigning) -> None:
        self._url = url
        self._headers = headers
        self._signing = signing

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        id_hex = read_id_hex(message)
        body = b'{"object":"event","id":"evt_%b","type":%b,"created_at":%d,"data":%b}' % (
            id_hex.encode(),
            write_json_string(message.event_type),
            message.created_at_ms // 1000,
            read_json_payload(message),
        )
        webhook_id = f"wh_{id_hex}"
        timestamp_s = attempt.now_ms // 1000
        headers = (
            *self._headers,
            ("webhook-id", webhook_id),
            ("webhook-timestamp", str(timestamp_s)),
            ("webhook-signature", self._signing.at(attempt.now_ms).sign(webhook_id, timestamp_s, body)),
        )
        return OutgoingRequest("POST", self._url, headers, body)


class OpenAIDialect:
    """OpenAI and Azure OpenAI events. `whsec_` secrets only: the official SDKs know no other signature."""

    name = "openai"
    default_policy = RetryPolicy(schedule_s=SCHEDULE_S, timeout_s=10.0)
    takes_schedule_override = False
    secret_form = SecretForm.SYMMETRIC

    def check_options(self, options: Mapping[str, object]) -> None:
        read_options(options, NoOptions, self.name)

    def prepare(self, endpoint: Endpoint) -> PreparedOpenAI:
        self.check_options(endpoint.options)
        headers = build_static_headers(JSON_CONTENT_TYPE, USER_AGENT, endpoint.headers)
        return PreparedOpenAI(endpoint.url, headers, prepare_standard(endpoint, symmetric_only=True))
