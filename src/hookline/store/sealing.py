"""Secrets at rest: AES-256-GCM under a ring of keys, each value bound to its table, column and row.

A sealed value is ASCII: `key_id.nonce.ciphertext`, the latter two in base64url. The first key of a ring seals, all of
them open: to rotate, put a new key in front and keep the old one until nothing is sealed with it any more. A value that
is moved to another row or column does not open.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hookline.store.errors import KeyCheckError

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
CHECK_NAME: Final = "encryption_key_check"  # the row of hookline_meta that `make_check` is kept in
_CHECK_TEXT: Final = b"hookline"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyRing:
    """The keys that a database is written with. Its repr shows key ids only."""

    def __init__(self, keys: Iterable[tuple[str, bytes]]) -> None:
        self._keys = dict(keys)
        if not self._keys:
            raise KeyCheckError("the encryption key is empty; give one or more `id:base64` separated by commas")
        for key_id, key in self._keys.items():
            if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
                raise KeyCheckError(
                    f"an encryption key needs an id of letters, digits, '-' or '_' and {KEY_BYTES} bytes in base64: "
                    "`id:base64`"
                )
        self._ciphers = {key_id: AESGCM(key) for key_id, key in self._keys.items()}
        self._first = next(iter(self._keys))

    @classmethod
    def from_text(cls, text: str) -> KeyRing:
        """`id:base64,id2:base64`: the first one seals.

        Raises:
            KeyCheckError: the text is not of this form, or names an id twice.
        """
        keys: dict[str, bytes] = {}
        for part in text.split(","):
            key_id, colon, encoded = part.strip().partition(":")
            try:
                key = b64decode(encoded, validate=True)
            except (binascii.Error, ValueError) as error:
                raise KeyCheckError("an encryption key is not base64; give `id:base64`") from error
            if not colon or key_id in keys:
                raise KeyCheckError("the encryption key must be `id:base64`, several ones separated by commas")
            keys[key_id] = key
        return cls(keys.items())

    @classmethod
    def generate(cls) -> KeyRing:
        """Make a ring with one new random key, named after its own hash."""
        key = os.urandom(KEY_BYTES)
        return cls([(f"k{hashlib.sha256(key).hexdigest()[:8]}", key)])

    def to_text(self) -> str:
        """The ring as `from_text` reads it. This IS the secret."""
        return ",".join(f"{key_id}:{b64encode(key).decode()}" for key_id, key in self._keys.items())

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)}: ***)"

    @property
    def sealing_key_id(self) -> str:
        return self._first

    def seal(self, value: bytes, column: str, row_id: str) -> bytes:
        """Encrypt `value` for the row `row_id` of `column` (`table:column`)."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, value, f"{column}:{row_id}".encode())
        return b".".join((self._first.encode(), urlsafe_b64encode(nonce), urlsafe_b64encode(sealed)))

    def open(self, sealed: bytes, column: str, row_id: str) -> bytes:
        """Decrypt what `seal` made for the same column and row.

        Raises:
            KeyCheckError: no key of the ring opens it, or it was not sealed for this place.
        """
        try:
            key_id, nonce, text = sealed.split(b".")
            cipher = self._ciphers[key_id.decode()]
            return cipher.decrypt(urlsafe_b64decode(nonce), urlsafe_b64decode(text), f"{column}:{row_id}".encode())
        except (ValueError, KeyError, InvalidTag) as error:
            # Failure policy: closed. Nothing is sent with a secret that nobody can read.
            raise KeyCheckError(
                f"a value in {column} does not open with the encryption key; add the key it was written with"
            ) from error

    def make_check(self) -> str:
        """A value to keep in hookline_meta under `CHECK_NAME`: whoever opens it has the right key."""
        return self.seal(_CHECK_TEXT, "hookline_meta:value", CHECK_NAME).decode()

    def verify_check(self, stored: str) -> bool:
        """Whether the check was sealed with the first key; when not, the caller replaces it (a rotation).

        Raises:
            KeyCheckError: this is not the key that the database was written with.
        """
        encoded = stored.encode()
        try:
            self.open(encoded, "hookline_meta:value", CHECK_NAME)
        except KeyCheckError as error:
            raise KeyCheckError(
                "the encryption key is not the one that this database was written with; give that one, "
                "or both with the new one in front"
            ) from error
        return encoded.startswith(f"{self._first}.".encode())
