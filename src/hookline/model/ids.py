"""Prefixed, time-ordered ids: `msg_` and 26 characters of base32 over a UUIDv7.

The text sorts as the time does (compare bytes, `COLLATE "C"`), so an id is also a pagination cursor, a time filter
and the key that the database partitions by. No id contains a `.`: Standard Webhooks signs `id.timestamp.body`.
The alphabet is Crockford's, lower case, as the TypeID specification uses it.
"""

from __future__ import annotations

import re

from uuid_utils import uuid7

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters for each ten bits: thirteen look-ups make an id.
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
# Our digits in those of int(text, 32), the quickest way back.
_TO_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
# 26 characters hold 130 bits, an id has 128: the first character stays below 8.
_is_value = re.compile(rf"[0-7][{_ALPHABET}]{{25}}").fullmatch
_LATEST_MS = 2**48 - 1

APPLICATION = "app"
ENDPOINT = "ep"
MESSAGE = "msg"
ATTEMPT = "atmpt"
ORGANIZATION = "org"
API_KEY = "key"
NODE = "node"
BATCH = "batch"
ALERT_RULE = "alert"
TOKEN = "tok"  # noqa: S105 -- a prefix
TASK = "qtask"

# Ids are made a little before or after the moment that their object bears; who looks for a time by id allows for it.
ID_MARGIN_MS = 3_600_000

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
    """The smallest id of a moment: every id made at or after `at_ms` (Unix milliseconds) sorts at or after it.

    Moments that no id can hold (before 1970, after the year 10889) become the nearest one that it can.
    """
    return f"{prefix}_{_encode(min(max(0, at_ms), _LATEST_MS) << 80)}"


def time_of(identifier: str) -> int:
    """The moment, in Unix milliseconds, at which an id was made.

    Raises:
        ValueError: the text is not an id of ours.
    """
    return _decode(identifier) >> 80


def hex_of(identifier: str) -> str:
    """The 128 bits of an id as 32 hex digits: the same id for whoever expects a UUID's digits.

    Raises:
        ValueError: the text is not an id of ours.
    """
    return f"{_decode(identifier):032x}"


def is_id(text: str, prefix: str) -> bool:
    """Whether the text has the form of an id with this prefix."""
    head, underscore, tail = text.rpartition("_")
    return head == prefix and bool(underscore) and _is_value(tail) is not None


def _decode(identifier: str) -> int:
    prefix, _, text = identifier.rpartition("_")
    if not prefix or not _is_value(text):
        raise ValueError(f"not an id: {identifier!r}")
    return int(text.translate(_TO_BASE_32), 32)
