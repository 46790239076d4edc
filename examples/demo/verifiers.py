"""How each subscriber checks what it gets: with the library of the vendor whose format it expects.

Each function is what that vendor's users have in their own applications. It returns when the request is genuine and
raises when it is not. Hookline's own code verifies nothing here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import openai
import standardwebhooks
import svix.webhooks
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

Headers = Mapping[str, str]
Verify = Callable[[str, Headers, bytes], None]


class NotGenuineError(Exception):
    """The request does not carry the signature, or the attributes, that it should."""


def verify_with_standardwebhooks(secret: str, headers: Headers, body: bytes) -> None:
    standardwebhooks.Webhook(secret).verify(body, dict(headers))


def verify_with_svix(secret: str, headers: Headers, body: bytes) -> None:
    svix_headers = {name: value for name, value in headers.items() if name.startswith("svix-")}
    svix.webhooks.Webhook(secret).verify(body, svix_headers)


@functools.cache
def _openai_client() -> openai.OpenAI:
    return openai.OpenAI(api_key="not used: nothing is asked of the API")


def verify_with_openai(secret: str, headers: Headers, body: bytes) -> None:
    _openai_client().webhooks.unwrap(body, dict(headers), secret=secret)


def warm_up() -> None:
    """Let the libraries build what they build on first use, so that it is not taken for a delivery's latency."""
    secret, now = f"whsec_{base64.b64encode(bytes(32)).decode()}", datetime.now(UTC)
    body = '{"object":"event","id":"evt_0","type":"response.completed","created_at":0,"data":{"id":"resp_0"}}'
    signature = standardwebhooks.Webhook(secret).sign("msg_0", now, body)
    signed = {"id": "msg_0", "timestamp": str(int(now.timestamp())), "signature": signature}
    verify_with_openai(secret, {f"webhook-{name}": value for name, value in signed.items()}, body.encode())
    verify_with_svix(secret, {f"svix-{name}": value for name, value in signed.items()}, body.encode())


def verify_base64_hmac(secret: str, headers: Headers, body: bytes) -> None:
    expected = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    _compare(headers, "x-microsoftspeechservices-signature", expected)


def verify_hex_hmac(secret: str, headers: Headers, body: bytes) -> None:
    expected = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    _compare(headers, "x-webhook-signature", expected)


def _compare(headers: Headers, name: str, expected: str) -> None:
    given = headers.get(name)
    if given is None:
        raise NotGenuineError(f"there is no header {name}")
    if not hmac.compare_digest(given, expected):
        raise NotGenuineError(f"{name} is not the HMAC of the body")


def verify_cloudevent(secret: str, headers: Headers, body: bytes) -> None:
    standardwebhooks.Webhook(secret).verify(body, dict(headers))
    event = from_http_event(HTTPMessage(dict(headers), body))
    # In binary mode the signature covers the body and `webhook-id`, so the event's id must be that one.
    if event.get_id() != headers["webhook-id"]:
        raise NotGenuineError("ce-id is not the id that was signed")


VERIFIERS: Mapping[str, Verify] = {
    "standard": verify_with_standardwebhooks,
    "standard-svix": verify_with_svix,
    "openai": verify_with_openai,
    "speech": verify_base64_hmac,
    "plain": verify_hex_hmac,
    "cloudevents": verify_cloudevent,
}
"""By the uid of the subscriber."""
