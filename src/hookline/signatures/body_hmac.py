"""Signatures that cover the body and nothing else.

Two spellings of HMAC-SHA256(UTF-8 of the secret, body): base64 for `X-MicrosoftSpeechServices-Signature` (Azure
Speech, batch transcription webhooks), lower-case hex for `X-Webhook-Signature` (the plain dialect). Neither covers a
time or an id, so a receiver must deduplicate by `webhook-id` to be safe from replays.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterable
from enum import StrEnum

from hookline.signatures.errors import SignatureError
from hookline.signatures.mac import KeyedHmac
from hookline.signatures.text_secrets import encode_secret, encode_secrets
from hookline.signatures.wire import read_body, read_signature_text


class Encoding(StrEnum):
    BASE64 = "base64"
    HEX = "hex"


class BodySigner:
    """Signs bodies with one text secret. Build it once per endpoint."""

    __slots__ = ("_digest", "_write", "encoding")

    def __init__(self, secret: str, encoding: Encoding) -> None:
        self.encoding = Encoding(encoding)
        self._digest = KeyedHmac(encode_secret(secret)).digest
        self._write = _WRITERS[self.encoding]

    def sign(self, body: bytes) -> str:
        return self._write(self._digest(body))

    def __repr__(self) -> str:
        return f"BodySigner(***, {self.encoding.value})"


def verify_body(signature: str | None, body: bytes, secrets: str | Iterable[str], encoding: Encoding) -> int:
    """Check the value of a signature header against the body. Returns the index of the secret that matched.

    Hex is compared without regard to case, base64 exactly. Every secret is tried, whatever the others gave.

    Raises:
        SignatureError: `missing_header`, `malformed_header`, `malformed_body`, `malformed_key`, `no_key`, `no_match`.
    """
    encoding = Encoding(encoding)
    write = _WRITERS[encoding]
    keys = encode_secrets(secrets)
    offered = read_signature_text(signature)
    if encoding is Encoding.HEX:
        offered = offered.lower()
    content = read_body(body)
    # Failure policy: closed. Only an equal, full-length signature under a non-empty secret passes.
    outcomes = [hmac.compare_digest(write(hmac.digest(key, content, "sha256")).encode(), offered) for key in keys]
    if True not in outcomes:
        raise SignatureError("The signature was not made from this body with any of the given secrets.")
    return outcomes.index(True)


def _write_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


_WRITERS: dict[Encoding, Callable[[bytes], str]] = {Encoding.BASE64: _write_base64, Encoding.HEX: bytes.hex}
