"""Times of requests as Unix milliseconds. A time without a zone is UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from hookline.services.errors import invalid


def read_moment(moment: datetime, field: str, place: str = "body") -> int:
    """Unix milliseconds.

    Raises:
        InvalidError: no computer counts that far.
    """
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return round(zoned.timestamp() * 1000)
    except (OverflowError, ValueError) as error:
        raise invalid(field, "This time is out of range.", place=place) from error
