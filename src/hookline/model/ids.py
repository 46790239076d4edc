"""Prefixed, time-ordered ids: `msg_` and 26 characters of base32 over a UUIDv7.

The text sorts as the time does (compare bytes, `COLLATE "C"`), so an id is also a pagination cursor, a time filter
and the key that the database partitions by. No id contains a `.`: Standard Webhooks signs `id.timestamp.body`.
The alphabet is Crockford's, lower case, as the TypeID specification uses it.
"""

from __future__ import annotations

from uuid_utils import uuid7

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters for each ten bits: thirteen look-ups make an id.
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}

APPLICATION = "app"
ENDPOINT = "ep"
MESSAGE = "msg"
ATTEMPT = "atmpt"
ORGANIZATION = "org"
API_KEY = "key"
NODE = "node"
BATCH = "batch"

ID_LENGTH = 26  # characters behind the prefix and its underscore


def _encode(value: int) -> str:
    p = _PAIRS
    return (
        p[value >> 120]
        + p[value >> 110 & 1023]
        + p[value >> 100 & 1023]
        + p[value >> 90 & 1023]
        + p[value >> 80 & 1023]
        + p[value >> 70 & 1023]
        + p[value >> 60 & 1023]
        + p[value >> 50 & 1023]
        + p[value >> 40 & 1023]
        + p[value >> 30 & 1023]
        + p[value >> 20 & 1023]
        + p[value >> 10 & 1023]
        + p[value & 1023]
    )


def new_id(prefix: str) -> str:
    """A new id, later than every id that this process made before."""
    return f"{prefix}_{_encode(uuid7().int)}"


def id_at(prefix: str, at_ms: int) -> str:
    """The smallest id of a moment: every id made at or after `at_ms` (Unix milliseconds) sorts at or after it."""
    return f"{prefix}_{_encode(max(0, at_ms) << 80)}"


def time_of(identifier: str) -> int:
    """The moment, in Unix milliseconds, at which an id was made.

    Raises:
        ValueError: the text is not an id of ours.
    """
    _, _, text = identifier.rpartition("_")
    if len(text) != ID_LENGTH or any(character not in _VALUES for character in text):
        raise ValueError(f"not an id: {identifier!r}")
    value = 0
    for character in text[:10]:  # 50 bits: 2 of padding, 48 of time
        value = value << 5 | _VALUES[character]
    return value


def is_id(text: str, prefix: str) -> bool:
    """Whether the text has the form of an id with this prefix."""
    head, _, tail = text.rpartition("_")
    return head == prefix and len(tail) == ID_LENGTH and all(character in _VALUES for character in tail)
