"""The value in a payload by which an ordered endpoint is ordered, as a short text: equal values, equal texts.

A payload without the value has the text ''. Others are hashed: values may be long, and are nobody else's business.
Numbers are equal by what they are (1 and 1.0), all else by its JSON with sorted members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson

from hookline.model.payload_path import MISSING, PathError, compile_path, has_star, parse_path

NO_KEY: Final = ""
_DIGEST_BYTES: Final = 16


def compile_order_key(path: str) -> Callable[[Any], str]:
    """A function from a parsed payload to the text of its key.

    Raises:
        PathError: the path is none, or leads to more than one value.
    """
    steps = parse_path(path)
    if has_star(steps):
        raise PathError("Messages are ordered by one value: use a path without [*].")
    look = compile_path(steps)

    def key_of(payload: Any) -> str:
        value = look(payload)
        if value is MISSING:
            return NO_KEY
        if type(value) is float and value.is_integer():
            value = int(value)
        try:
            text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # a number beyond 64 bits
            text = repr(value).encode()
        return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()

    return key_of
