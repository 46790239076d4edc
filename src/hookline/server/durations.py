"""Lengths of time as people write them: `90`, `1.5`, `30s`, `5m`, `24h`, `7d`. The result is in seconds."""

from __future__ import annotations

import math

_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def parse_duration(text: str) -> float:
    """Seconds; a bare number means seconds.

    Raises:
        ValueError: the text is no length of time, or a negative one.
    """
    stripped = text.strip().lower()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = stripped[len(number) :] or "s"
    try:
        seconds = float(number) * _SECONDS_PER_UNIT[unit]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is no length of time: write 30s, 5m, 24h or 7d") from None
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text!r} is no length of time: it must be finite and not negative")
    return seconds
