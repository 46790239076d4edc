"""The grammar of event types: `order.created`, words of letters, digits, `_` and `-`, joined by dots."""

from __future__ import annotations

import re

MAX_EVENT_TYPE_LENGTH = 256
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def is_event_type(text: str) -> bool:
    return len(text) <= MAX_EVENT_TYPE_LENGTH and _EVENT_TYPE.fullmatch(text) is not None
