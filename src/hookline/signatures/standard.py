"""Standard Webhooks 1.0.0, the sender's side: what is signed, and `webhook-signature`.

What is signed is `{id}.{timestamp}.{body}`, the body being the raw bytes on the wire. The signature header is a list
separated by spaces, one `v1,<base64>` (HMAC-SHA256) or `v1a,<base64>` (Ed25519) per key in force, so that keys can be
rotated without a gap: the sender signs with the current and the old key, the receiver accepts any match.

Where the specification leaves room, both sides here are strict: the id is 1 to 256 visible ASCII characters without a
dot (with one, a body that begins with digits and a dot could pass as another message's), the timestamp is a plain
whole number, and there are at most 16 signatures.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable

from hookline.signatures import ed25519
from hookline.signatures.errors import SignatureError, SignatureErrorCode
from hookline.signatures.keys import SigningKey, SymmetricKey, VerifyingKey, read_keys
from hookline.signatures.mac import KeyedHmac
from hookline.signatures.wire import read_body

MAX_SIGNATURES = 16  # per header; bounds the Ed25519 work that a stranger can ask of a receiver
MAX_MESSAGE_ID_CHARS = 256

is_message_id = re.compile(rf"[!-\-/-~]{{1,{MAX_MESSAGE_ID_CHARS}}}").fullmatch  # visible ASCII without "."
is_timestamp = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
_TIMESTAMP_END = 10**19


class StandardSigner:
    """Signs messages for one endpoint, with every key in force. Build it once, use it for each attempt.

    Args:
        keys: The current key first, then those still honoured while receivers move over; 1 to 16.

    Raises:
        SignatureError: `no_key`; `malformed_key` for a public key, which cannot sign, or for too many keys.
    """

    __slots__ = ("_signatories",)

    def __init__(self, keys: SymmetricKey | SigningKey | Iterable[SymmetricKey | SigningKey]) -> None:
        usable_keys = read_keys(keys)
        if len(usable_keys) > MAX_SIGNATURES:
            raise _malformed_key(f"At most {MAX_SIGNATURES} keys can sign for one endpoint. Retire the oldest.")
        self._signatories = [_build_signatory(key) for key in usable_keys]

    def sign(self, message_id: str, timestamp_s: int, body: bytes) -> str:
        """The value of `webhook-signature` for one attempt: the id of the message, the time of this attempt.

        Raises:
            SignatureError: `malformed_id`, `malformed_timestamp`, `malformed_body`.
        """
        if not isinstance(message_id, str) or not is_message_id(message_id):
            raise malformed_id()
        if type(timestamp_s) is not int or not 0 <= timestamp_s < _TIMESTAMP_END:  # a bool is an int, too
            raise malformed_timestamp()
        if type(body) is not bytes:
            body = read_body(body)
        content = build_content(message_id, timestamp_s, body)
        return " ".join([signatory(content) for signatory in self._signatories])

    def __repr__(self) -> str:
        return f"StandardSigner(*** x {len(self._signatories)})"


def build_content(message_id: str, timestamp_s: int, body: bytes) -> bytes:
    """The bytes that are signed."""
    return f"{message_id}.{timestamp_s}.".encode("ascii") + body


def malformed_id() -> SignatureError:
    return SignatureError(
        f"A message id is 1 to {MAX_MESSAGE_ID_CHARS} visible ASCII characters, none of them a dot or a space.",
        code=SignatureErrorCode.MALFORMED_ID,
    )


def malformed_timestamp() -> SignatureError:
    return SignatureError(
        "A timestamp is a whole number of seconds since 1970, digits only.",
        code=SignatureErrorCode.MALFORMED_TIMESTAMP,
    )


def _build_signatory(key: SymmetricKey | SigningKey | VerifyingKey) -> Callable[[bytes], str]:
    """A function from content to one entry of the header."""
    if isinstance(key, VerifyingKey):
        raise _malformed_key("A whpk_ key only verifies. Sign with its private half, the whsk_ key.")
    if isinstance(key, SymmetricKey):
        return _build_entry_writer("v1,", KeyedHmac(key.secret).digest)
    return _build_entry_writer("v1a,", ed25519.build_signer(key.seed))


def _build_entry_writer(prefix: str, compute: Callable[[bytes], bytes]) -> Callable[[bytes], str]:
    encode = base64.b64encode

    def write_entry(content: bytes) -> str:
        return prefix + encode(compute(content)).decode("ascii")

    return write_entry


def _malformed_key(message: str) -> SignatureError:
    return SignatureError(message, code=SignatureErrorCode.MALFORMED_KEY)
