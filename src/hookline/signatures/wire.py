"""Reading what came over the wire as a verifier must: header names without regard to case, one value per name, text
where text belongs and the body as raw bytes. Anything else is a `SignatureError`, whatever the caller's framework did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hookline.signatures.errors import SignatureError, SignatureErrorCode

HeaderPairs = list[tuple[str, str]]


class HeaderItems(Protocol):
    """Any header collection with `items()`: a dict, or the header types of the Python web frameworks."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def list_headers(headers: HeaderItems) -> HeaderPairs:
    """The headers as (lower-case name, value) pairs, repeated names included.

    Raises:
        SignatureError: `malformed_header` if this is no header collection, or its names are not text.
    """
    items = getattr(headers, "items", None)
    if not callable(items):
        raise _malformed_header("Pass the request's headers as a mapping of names to values.")
    pairs = []
    for name, value in items():
        if not isinstance(name, str):
            raise _malformed_header("Header names must be text. Decode them (latin-1) before verifying.")
        # Only ASCII is folded: lower() also turns the Kelvin sign into "k".
        if name.isascii():
            pairs.append((name.lower(), value))
    return pairs


def pick_header(pairs: HeaderPairs, name: str) -> str | None:
    """The value of a header, None if it is absent or empty.

    Raises:
        SignatureError: `malformed_header` if its value is not text, or differing values are present.
    """
    values = [value for candidate, value in pairs if candidate == name and value is not None]
    if not all(isinstance(value, str) for value in values):
        raise _malformed_header(f"The value of header {name} must be text. Decode it (latin-1) before verifying.")
    # Failure policy: closed. With two values, this verifier and the handler behind it could each read another one.
    if len(set(values)) > 1:
        raise _malformed_header(f"Header {name} is present more than once, with different values.")
    return (values[0] or None) if values else None


def read_signature_text(signature: str | None) -> bytes:
    """The value of a signature header as bytes, refusing what is absent, not text or not ASCII."""
    if signature is None or signature == "":
        raise SignatureError("The signature header is missing or empty.", code=SignatureErrorCode.MISSING_HEADER)
    if not isinstance(signature, str) or not signature.isascii():
        raise _malformed_header("The signature header must be ASCII text.")
    return signature.encode("ascii")


def read_body(body: bytes) -> bytes:
    """The body as bytes, refusing anything else: a decoded body is no longer what was signed."""
    if not isinstance(body, bytes | bytearray | memoryview):
        raise SignatureError(
            "Pass the raw request body as bytes, before any decoding or parsing.",
            code=SignatureErrorCode.MALFORMED_BODY,
        )
    return bytes(body)


def _malformed_header(message: str) -> SignatureError:
    return SignatureError(message, code=SignatureErrorCode.MALFORMED_HEADER)
