"""Standard Webhooks 1.0.0, the receiver's side: `verify`.

The order of checks is keys, headers, timestamp, signature; the first that fails names the error. The three headers are
read as `webhook-*`, or as `svix-*` when the former are not complete; the two sets are never mixed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from hookline.signatures import ed25519
from hookline.signatures.errors import SignatureError, SignatureErrorCode
from hookline.signatures.keys import Key, SigningKey, SymmetricKey, read_keys
from hookline.signatures.standard import (
    MAX_SIGNATURES,
    build_content,
    is_message_id,
    is_timestamp,
    malformed_id,
    malformed_timestamp,
)
from hookline.signatures.wire import HeaderItems, HeaderPairs, list_headers, pick_header, read_body

DEFAULT_TOLERANCE_S = 300
HEADER_FAMILIES = ("webhook", "svix")  # in order of preference
HEADER_PARTS = ("id", "timestamp", "signature")

_V1_CHARS = 44  # base64 of 32 bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What a valid signature vouches for. Deduplicate by `message_id`: it is the same on every attempt."""

    message_id: str
    timestamp_s: int
    key_index: int
    """Which of the given keys matched, the first if several did: shows when an old key is no longer in use."""
    version: str
    """`v1` or `v1a`."""
    header_family: str
    """`webhook` or `svix`."""


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """The three headers, parsed but not yet believed."""

    family: str
    message_id: str
    timestamp_s: int
    hmac_signatures: list[bytes]
    """Still in base64: comparing text refuses every spelling but the canonical one."""
    ed25519_signatures: list[bytes]


def verify(
    headers: HeaderItems,
    body: bytes,
    keys: Key | str | Iterable[Key | str],
    *,
    now_s: float,
    tolerance_s: float = DEFAULT_TOLERANCE_S,
) -> Verified:
    """Check that a request was signed by a holder of one of the keys, and recently.

    Args:
        headers: All headers of the request; names in any case.
        body: The raw bytes of the request's body.
        keys: One or several, as keys or in their text form. A `whsk_` key verifies as its public half.
        now_s: The time now, in Unix seconds.
        tolerance_s: How far the timestamp may lie in the past or in the future; exactly this far still passes.

    Raises:
        SignatureError: for any malformed input and for a failed verification; never anything else.
    """
    usable_keys = read_keys(keys)
    raw_body = read_body(body)
    signed = read_signed_headers(list_headers(headers))
    _check_timestamp(signed.timestamp_s, now_s=now_s, tolerance_s=tolerance_s)
    content = build_content(signed.message_id, signed.timestamp_s, raw_body)
    # Failure policy: closed. Every key is tried against every signature, with no early exit, so that the time taken
    # depends on how many there are and not on which one matched.
    outcomes = [_match_key(key, signed, content) for key in usable_keys]
    if True not in outcomes:
        raise SignatureError(
            "None of the keys made any of the signatures. Check that the key is this endpoint's, and that the body is "
            "verified byte for byte as it came in."
        )
    key_index = outcomes.index(True)
    version = "v1" if isinstance(usable_keys[key_index], SymmetricKey) else "v1a"
    return Verified(signed.message_id, signed.timestamp_s, key_index, version, signed.family)


def read_signed_headers(pairs: HeaderPairs) -> SignedHeaders:
    """Find and parse the three headers.

    Raises:
        SignatureError: `missing_header`, `malformed_header`, `malformed_id`, `malformed_timestamp`.
    """
    family, (message_id, timestamp, signatures) = _pick_family(pairs)
    if not is_message_id(message_id):
        raise malformed_id()
    if not is_timestamp(timestamp):
        raise malformed_timestamp()
    hmac_signatures, ed25519_signatures = _split_signatures(signatures)
    return SignedHeaders(family, message_id, int(timestamp), hmac_signatures, ed25519_signatures)


def _pick_family(pairs: HeaderPairs) -> tuple[str, list[str]]:
    missing_by_family: list[list[str]] = []
    for family in HEADER_FAMILIES:
        names = [f"{family}-{part}" for part in HEADER_PARTS]
        values = {name: pick_header(pairs, name) for name in names}
        present = [value for value in values.values() if value is not None]
        if len(present) == len(names):
            return family, present
        missing_by_family.append([name for name, value in values.items() if value is None])
    fewest_missing = min(missing_by_family, key=len)
    raise SignatureError(f"Missing or empty: {', '.join(fewest_missing)}.", code=SignatureErrorCode.MISSING_HEADER)


def _split_signatures(header: str) -> tuple[list[bytes], list[bytes]]:
    """The well-formed `v1` and `v1a` entries. Others are passed over: a sender may add versions not known here."""
    entries = header.split(maxsplit=MAX_SIGNATURES) if header.isascii() else []
    if len(entries) > MAX_SIGNATURES:
        raise _malformed_header(f"The signature header holds more than {MAX_SIGNATURES} entries.")
    hmac_signatures, ed25519_signatures = [], []
    for entry in entries:
        version, _, signature = entry.partition(",")
        # Failure policy: closed. An empty or truncated signature is no signature; it never reaches a comparison.
        if version == "v1" and len(signature) == _V1_CHARS:
            hmac_signatures.append(signature.encode("ascii"))
        elif version == "v1a":
            ed25519_signatures += _decode_signature(signature)
    if not hmac_signatures and not ed25519_signatures:
        raise _malformed_header("The signature header holds no complete v1 or v1a signature, such as v1,<base64>.")
    return hmac_signatures, ed25519_signatures


def _decode_signature(text: str) -> list[bytes]:
    """One 64-byte signature, or none if this is not base64 in its one canonical spelling."""
    try:
        signature = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return []  # the caller goes on as if the entry were of an unknown version: it can only fail to match
    is_canonical = base64.b64encode(signature).decode("ascii") == text
    return [signature] if is_canonical and len(signature) == ed25519.SIGNATURE_BYTES else []


def _check_timestamp(timestamp_s: int, *, now_s: float, tolerance_s: float) -> None:
    age_s = now_s - timestamp_s
    # Failure policy: closed. Written as "not within", so that a NaN from a broken clock is refused as well.
    if not age_s <= tolerance_s:
        raise SignatureError(
            f"The timestamp is {age_s:.0f} s in the past, {tolerance_s:g} s are allowed. Compare the clocks; a queue "
            "in front of this receiver must verify before it waits.",
            code=SignatureErrorCode.TIMESTAMP_TOO_OLD,
        )
    if not -age_s <= tolerance_s:
        raise SignatureError(
            f"The timestamp is {-age_s:.0f} s in the future, {tolerance_s:g} s are allowed. Compare the clocks; the "
            "timestamp is in seconds, not in milliseconds.",
            code=SignatureErrorCode.TIMESTAMP_TOO_NEW,
        )


def _match_key(key: Key, signed: SignedHeaders, content: bytes) -> bool:
    """Whether this key made any of the signatures; all of them are compared."""
    if isinstance(key, SymmetricKey):
        expected = base64.b64encode(hmac.digest(key.secret, content, "sha256"))
        outcomes = [hmac.compare_digest(expected, signature) for signature in signed.hmac_signatures]
    else:
        public_key = (key.verifying_key if isinstance(key, SigningKey) else key).public_key
        outcomes = [
            ed25519.is_signature_valid(public_key, signature, content) for signature in signed.ed25519_signatures
        ]
    return True in outcomes


def _malformed_header(message: str) -> SignatureError:
    return SignatureError(message, code=SignatureErrorCode.MALFORMED_HEADER)
