"""Secrets that are used as their own text: Azure Speech, the plain dialect, Web PubSub access keys."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from hookline.signatures.errors import SignatureError, SignatureErrorCode


def encode_secret(secret: str) -> bytes:
    """The HMAC key: the UTF-8 bytes of the text, nothing decoded and nothing stripped.

    Raises:
        SignatureError: `malformed_key` for an empty secret, or one that is not encodable text.
    """
    # Failure policy: closed. An empty secret makes a signature that anyone can make.
    if not isinstance(secret, str) or not secret:
        raise SignatureError("A secret is non-empty text. Set one.", code=SignatureErrorCode.MALFORMED_KEY)
    # Suppressed and raised anew outside: a UnicodeEncodeError carries the whole secret in its arguments.
    with suppress(UnicodeEncodeError):
        return secret.encode("utf-8")
    raise SignatureError("The secret is not valid Unicode text.", code=SignatureErrorCode.MALFORMED_KEY)


def encode_secrets(secrets: str | Iterable[str]) -> list[bytes]:
    """One or several secrets as HMAC keys, in their order.

    Raises:
        SignatureError: `no_key` if there is none, `malformed_key` as above.
    """
    if isinstance(secrets, str):
        return [encode_secret(secrets)]
    if secrets is not None and not isinstance(secrets, Iterable):
        raise SignatureError("Pass a secret, or several in a list.", code=SignatureErrorCode.MALFORMED_KEY)
    keys = [encode_secret(secret) for secret in secrets or ()]
    if not keys:
        raise SignatureError("No secret is given: nothing can be signed or verified.", code=SignatureErrorCode.NO_KEY)
    return keys
