"""Ed25519 (RFC 8032) through `cryptography`, imported on first use so that HMAC alone never pays for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hookline.signatures.errors import SignatureError, SignatureErrorCode

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_FIELD_PRIME = 2**255 - 19
_ORDER_EIGHT_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The y coordinates of all points of order 1, 2, 4 and 8.
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_EIGHT_Y, _FIELD_PRIME - _ORDER_EIGHT_Y})


def is_safe_public_key(public_key: bytes) -> bool:
    """False for keys under which anyone can make signatures, such as 32 zero bytes, and for non-canonical ones."""
    y_coordinate = int.from_bytes(public_key, "little") & (2**255 - 1)
    return y_coordinate < _FIELD_PRIME and y_coordinate not in _SMALL_ORDER_Y


def derive_public_key(seed: bytes) -> bytes:
    with _needing_cryptography():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 -- lazy

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def build_signer(seed: bytes) -> Callable[[bytes], bytes]:
    """A function from content to its 64-byte signature, with the key expanded once."""
    with _needing_cryptography():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 -- lazy

    return Ed25519PrivateKey.from_private_bytes(seed).sign


def is_signature_valid(public_key: bytes, signature: bytes, content: bytes) -> bool:
    with _needing_cryptography():
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 -- lazy
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 -- lazy

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


@contextmanager
def _needing_cryptography() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        # Failure policy: closed. Without the library nothing is signed and nothing counts as verified.
        raise SignatureError(
            "Ed25519 keys (whsk_, whpk_) need the cryptography package: install it, or use a whsec_ secret.",
            code=SignatureErrorCode.ED25519_UNAVAILABLE,
        ) from error
