"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime


def write_rfc3339(at_ms: int) -> str:
    """A moment in UTC with milliseconds: `2026-01-31T23:59:59.000Z`."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{milliseconds:03d}Z"
