"""The three kinds of Standard Webhooks keys and their text form.

========== ==================== =======================================================================
prefix     class                base64 of
========== ==================== =======================================================================
``whsec_`` `SymmetricKey`       24 to 64 random bytes (up to 75 are read, as other platforms make them)
``whsk_``  `SigningKey`         Ed25519: 32 bytes of seed, then 32 bytes of public key (or the seed alone)
``whpk_``  `VerifyingKey`       Ed25519: 32 bytes of public key
========== ==================== =======================================================================

Source: Standard Webhooks 1.0.0, "Signature scheme". Text is read strictly (standard alphabet, padding optional) and
always written canonically, because lenient readers turn a typing mistake into a different, valid-looking key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from hookline.signatures import ed25519
from hookline.signatures.errors import SignatureError, SignatureErrorCode

SYMMETRIC_PREFIX = "whsec_"
SIGNING_PREFIX = "whsk_"
VERIFYING_PREFIX = "whpk_"

MIN_SECRET_BYTES = 24
MAX_GENERATED_SECRET_BYTES = 64
MAX_SECRET_BYTES = 75
_MAX_PADDING_CHARS = 2


@dataclass(frozen=True, slots=True)
class SymmetricKey:
    """A shared secret for HMAC-SHA256 (`v1`). Its repr does not show it."""

    secret: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes):
            raise _malformed("A symmetric secret is bytes. Use parse_key() for its text form.")
        if not MIN_SECRET_BYTES <= len(self.secret) <= MAX_SECRET_BYTES:
            raise _malformed(
                f"A {SYMMETRIC_PREFIX} secret holds {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, this one "
                f"{len(self.secret)}. Generate a new one, or copy it again in full."
            )

    def to_text(self) -> str:
        return SYMMETRIC_PREFIX + _encode(self.secret)

    def __repr__(self) -> str:
        return "SymmetricKey(***)"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of an Ed25519 pair (`v1a`). May be published."""

    public_key: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.public_key, bytes) or len(self.public_key) != ed25519.PUBLIC_KEY_BYTES:
            raise _malformed(f"A {VERIFYING_PREFIX} key holds {ed25519.PUBLIC_KEY_BYTES} bytes. Copy it again in full.")
        if not ed25519.is_safe_public_key(self.public_key):
            raise _malformed(
                f"This {VERIFYING_PREFIX} key would accept signatures made by anyone. Ask the sender for its real key."
            )

    def to_text(self) -> str:
        return VERIFYING_PREFIX + _encode(self.public_key)

    def __repr__(self) -> str:
        return f"VerifyingKey({self.to_text()!r})"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of an Ed25519 pair (`v1a`). Its repr shows the public half only."""

    seed: bytes = field(repr=False)
    verifying_key: VerifyingKey = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.seed, bytes) or len(self.seed) != ed25519.SEED_BYTES:
            raise _malformed(f"An Ed25519 seed is {ed25519.SEED_BYTES} bytes. Use parse_key() for its text form.")
        object.__setattr__(self, "verifying_key", VerifyingKey(ed25519.derive_public_key(self.seed)))

    def to_text(self) -> str:
        return SIGNING_PREFIX + _encode(self.seed + self.verifying_key.public_key)


Key = SymmetricKey | SigningKey | VerifyingKey


def parse_key(text: str) -> Key:
    """Read a `whsec_`, `whsk_` or `whpk_` key. White space around it is ignored, as files end with a newline.

    Raises:
        SignatureError: `malformed_key`. The message never repeats any part of the text.
    """
    if not isinstance(text, str):
        raise _malformed("A key is text that begins with whsec_, whsk_ or whpk_.")
    text = text.strip()
    if text.startswith(SYMMETRIC_PREFIX):
        return SymmetricKey(_decode(text.removeprefix(SYMMETRIC_PREFIX)))
    if text.startswith(VERIFYING_PREFIX):
        return VerifyingKey(_decode(text.removeprefix(VERIFYING_PREFIX)))
    if text.startswith(SIGNING_PREFIX):
        return _read_signing_key(_decode(text.removeprefix(SIGNING_PREFIX)))
    # Failure policy: closed. Guessing that bare text is base64, or is not, gives two platforms two different keys.
    raise _malformed("A key begins with whsec_ (shared secret), whsk_ (Ed25519, private) or whpk_ (Ed25519, public).")


def read_keys(keys: Key | str | Iterable[Key | str]) -> list[Key]:
    """One or several keys, each as a key or in its text form, in their order.

    Raises:
        SignatureError: `no_key` if there is none, `malformed_key` if one cannot be read.
    """
    if isinstance(keys, Key | str):
        keys = [keys]
    if keys is not None and not isinstance(keys, Iterable):
        raise _malformed("Pass a key, or several in a list.")
    # Failure policy: closed. One unreadable key fails the call even if another would do: it is a mistake in the
    # configuration that would otherwise surface on the day the other one is retired.
    usable_keys = [key if isinstance(key, Key) else parse_key(key) for key in keys or ()]
    if not usable_keys:
        raise SignatureError("No key is given: nothing can be signed or verified.", code=SignatureErrorCode.NO_KEY)
    return usable_keys


def generate_symmetric(random_bytes: bytes) -> SymmetricKey:
    """A new shared secret from 24 to 64 bytes of a secure random source, such as `os.urandom(32)`."""
    if len(random_bytes) > MAX_GENERATED_SECRET_BYTES:
        raise _malformed(f"Generate a secret from at most {MAX_GENERATED_SECRET_BYTES} random bytes.")
    return SymmetricKey(random_bytes)


def generate_ed25519(random_bytes: bytes) -> SigningKey:
    """A new Ed25519 pair from exactly 32 bytes of a secure random source, such as `os.urandom(32)`."""
    return SigningKey(random_bytes)


def _read_signing_key(content: bytes) -> SigningKey:
    if len(content) not in {ed25519.SEED_BYTES, ed25519.SEED_BYTES + ed25519.PUBLIC_KEY_BYTES}:
        raise _malformed(f"A {SIGNING_PREFIX} key holds 64 bytes (or its 32-byte seed). Copy it again in full.")
    key = SigningKey(content[: ed25519.SEED_BYTES])
    stated_public_key = content[ed25519.SEED_BYTES :]
    if stated_public_key and stated_public_key != key.verifying_key.public_key:
        raise _malformed(f"The two halves of this {SIGNING_PREFIX} key do not belong together. Copy it again in full.")
    return key


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decode(text: str) -> bytes:
    bare = text.rstrip("=")
    if len(text) - len(bare) <= _MAX_PADDING_CHARS:
        # Suppressed and raised anew outside: a UnicodeEncodeError carries the whole secret in its arguments.
        with suppress(ValueError):
            return binascii.a2b_base64((bare + "=" * (-len(bare) % 4)).encode("ascii"), strict_mode=True)
    raise _malformed("The part after the prefix is not base64 in its standard alphabet. Copy the key again in full.")


def _malformed(message: str) -> SignatureError:
    return SignatureError(message, code=SignatureErrorCode.MALFORMED_KEY)
