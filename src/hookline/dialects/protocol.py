"""What every dialect offers, and the request that comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from hookline.model import Endpoint, Message, RetryPolicy


class OutgoingRequest(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, complete but for what the HTTP client adds: host, content length, connection.

    Every header is safe to write: names are tokens, values are printable ASCII.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:  # headers can carry the subscriber's credentials
        return f"OutgoingRequest({self.method}, {len(self.headers)} headers, {len(self.body)} bytes)"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method), ("headers", len(self.headers)), ("bytes", len(self.body))]


class AttemptContext(msgspec.Struct, frozen=True, gc=False):
    """What differs from attempt to attempt. `number` counts from 1, manual ones have -1; `now_ms` is Unix time."""

    number: int
    now_ms: int
    id: str = ""


class SecretForm(StrEnum):
    """What a dialect takes for a secret."""

    STANDARD = "standard"  # required: `whsec_` or `whsk_`
    SYMMETRIC = "symmetric"  # required: `whsec_` only
    TEXT = "text"  # optional: any non-empty text, its UTF-8 bytes are the key


class Prepared(Protocol):
    """An endpoint made ready. Holds nothing that changes, so it may be kept and shared as long as its version lives."""

    def build(self, message: Message, attempt: AttemptContext) -> OutgoingRequest:
        """The request for one attempt. The body and `webhook-id` are the same on every attempt of a message.

        Raises:
            DialectError: this message cannot be put into this dialect, or no secret is in force.
            SignatureError: `malformed_id`, the message's id cannot be signed.
        """


class Dialect(Protocol):
    """One way to say it.

    `takes_schedule_override`: whether the operator's retry schedule replaces the one of `default_policy`.
    """

    name: str
    default_policy: RetryPolicy
    takes_schedule_override: bool
    secret_form: SecretForm

    def check_options(self, options: Mapping[str, object]) -> None:
        """Refuse options that this dialect does not know, or values that it cannot use.

        Raises:
            DialectError: `unknown_option`, `invalid_option`.
        """

    def prepare(self, endpoint: Endpoint) -> Prepared:
        """Read options, keys and headers once, so that `build` only writes.

        Raises:
            DialectError: options, secrets or headers of the endpoint do not fit.
        """
