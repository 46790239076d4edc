"""HMAC-SHA256 with the key already absorbed: built once per endpoint, used for every delivery.

HMAC (RFC 2104) hashes two key blocks before it sees a message. Both are the same for every message, so they are
hashed once and the two states are copied per message.
"""

from __future__ import annotations

import hashlib

_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class KeyedHmac:
    """HMAC-SHA256 under one key. Immutable, and safe to share between threads. Does not keep the key's bytes."""

    __slots__ = ("_copy_inner", "_copy_outer")

    # Copying two bare SHA-256 states took 1.1 us for 1 KB on CPython 3.11, copying an hmac.HMAC object 1.4 us and
    # hmac.digest(), which absorbs the key each time, 2.0 us. Two update() calls in place of one joined message
    # changed nothing. (timeit, best of 7 runs of 20,000, on one machine: the order matters, not the figures.)

    def __init__(self, key: bytes) -> None:
        block = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
        block = block.ljust(_BLOCK_BYTES, b"\0")
        self._copy_inner = hashlib.sha256(block.translate(_INNER_PAD)).copy
        self._copy_outer = hashlib.sha256(block.translate(_OUTER_PAD)).copy

    def digest(self, message: bytes) -> bytes:
        """The 32 bytes of HMAC-SHA256(key, message)."""
        inner = self._copy_inner()
        inner.update(message)
        outer = self._copy_outer()
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return "KeyedHmac(***)"
