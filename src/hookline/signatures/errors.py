"""The one exception of this room: malformed input and failed verification alike."""

from __future__ import annotations

from enum import StrEnum

from hookline.errors import HooklineError


class SignatureErrorCode(StrEnum):
    """Why something could not be signed, verified or parsed. Stable; meant for programs and metrics."""

    MISSING_HEADER = "missing_header"
    """A header the scheme needs is absent or empty."""
    MALFORMED_HEADER = "malformed_header"
    """A header is not text, is given twice with two values, or holds no usable signature."""
    MALFORMED_ID = "malformed_id"
    """A message or connection id that cannot be signed without ambiguity."""
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    """Not a plain whole number of seconds."""
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_TOO_NEW = "timestamp_too_new"
    MALFORMED_BODY = "malformed_body"
    """Not bytes. Signatures cover the bytes on the wire, never a decoded or parsed form."""
    NO_MATCH = "no_match"
    """Everything is well formed and no key made any of the signatures."""
    MALFORMED_KEY = "malformed_key"
    """A secret or key that cannot be read, is too short to be safe, or is of the wrong kind."""
    NO_KEY = "no_key"
    """No key was given. Verifying against nothing must fail, never pass."""
    ED25519_UNAVAILABLE = "ed25519_unavailable"
    """An Ed25519 key is in use and the `cryptography` package is not installed."""


class SignatureError(HooklineError):
    """Raised for every malformed input and every failed verification, and by nothing else in this room.

    `code` is one of `SignatureErrorCode`. A receiver answers all of them with the same 401 and the same body, and
    keeps the code and the message for its operator's log: they hold no secret, but they do tell an attacker which
    check was reached.
    """

    code: str = SignatureErrorCode.NO_MATCH

    def __init__(self, message: str, *, code: SignatureErrorCode = SignatureErrorCode.NO_MATCH) -> None:
        super().__init__(message, code=code)
