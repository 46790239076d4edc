"""`Retry-After` as RFC 9110, section 10.2.3, writes it: seconds, or an HTTP date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_DIGITS = 12  # more than any time that anybody means; keeps int() cheap on a hostile header


def parse_retry_after(text: str | None, now_ms: int) -> float | None:
    """Seconds to wait from `now_ms`, never negative; None when the header is absent or says nothing we understand."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(int(text[:_LONGEST_DIGITS])) if len(text) <= _LONGEST_DIGITS else float("inf")
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        # Failure policy: open. A header that nobody can read is as good as none; the schedule goes on.
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        seconds = (moment - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds()
    except (OverflowError, ValueError):
        return None
    return max(0.0, seconds)
