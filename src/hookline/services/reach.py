"""How far back lists of messages and attempts reach when nobody says so: 90 days, as in the API that we follow. Pure.

Around what the caller named: 90 days before `until`, before the cursor, or before now; and after the cursor of a page
that is walked backwards. Whoever wants more names the times.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hookline.model import ids
from hookline.store.protocol import MessageFilter, Page

REACH_MS: Final = 90 * 86_400_000


def within_reach(page: Page, where: MessageFilter, now_ms: int) -> MessageFilter:
    """The filter with the times that it leaves open."""
    cursor = page.before if page.after is None else page.after
    around = [moment for moment in (where.until_ms, ids.time_of(cursor) if cursor else None) if moment is not None]
    since_ms, until_ms = where.since_ms, where.until_ms
    if since_ms is None:
        since_ms = min(around, default=now_ms) - REACH_MS
    if until_ms is None and page.before is not None and page.after is None:
        until_ms = ids.time_of(page.before) + REACH_MS
    return msgspec.structs.replace(where, since_ms=since_ms, until_ms=until_ms)
