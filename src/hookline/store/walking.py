"""How a page walks through a list that goes by id, in both directions, the same for both databases. Pure.

    from a cursor, or an end of the list ──> `limit` rows and one more, which tells whether there are more
       └──with a filter that no index helps──> through a window of rows at most; then the page may be short, or empty,
          and not the last one: `last_seen` is where to go on

Bounds are exclusive ids. An id begins with its time, so times bound a walk too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import msgspec

from hookline.model.ids import ATTEMPT, MESSAGE, id_at
from hookline.store.protocol import MessageFilter, Page, Slice

WINDOW: Final = 10_000  # rows that one filtered page looks at
LOWEST, HIGHEST = "", "\x7f"  # around every id

# A message's id is made a moment after the time that it bears; an attempt's when its answer came, while it bears the
# time of its start: a request may take five minutes.
EARLIER_MS: Final = 1_000
LATER_MS: Final = 1_000
ATTEMPT_LATER_MS: Final = 305_000

Row = tuple[Any, ...]


MOST_COUNTED: Final = 10_000_000  # rows of one kind: a second or two


def attempts_between(since_ms: int, until_ms: int) -> tuple[str, str]:
    """The ids around attempts that were recorded from one moment on and before another."""
    return _before(id_at(ATTEMPT, since_ms)), id_at(ATTEMPT, until_ms)


def messages_between(since_ms: int, until_ms: int) -> tuple[str, str]:
    """The same for messages that were accepted."""
    return _before(id_at(MESSAGE, since_ms)), id_at(MESSAGE, until_ms)


class Walk(msgspec.Struct, frozen=True):
    """Between which ids a page is looked for, and in which direction."""

    low: str
    high: str
    is_ascending: bool
    is_backwards: bool

    @classmethod
    def of(cls, page: Page, where: MessageFilter | None = None, prefix: str = "") -> Self:
        """The walk that finds a page of ids with this prefix, within the times of the filter."""
        is_backwards = page.before is not None and page.after is None
        is_ascending = page.ascending != is_backwards
        cursor = page.before if is_backwards else page.after
        low, high = (LOWEST, HIGHEST) if where is None else _bounds(where, prefix)
        if cursor is not None:
            low, high = (max(low, cursor), high) if is_ascending else (low, min(high, cursor))
        return cls(low, high, is_ascending, is_backwards)

    def direct(self, sql: str) -> str:
        return sql.replace("/*direction*/", "ASC" if self.is_ascending else "DESC")

    def until(self, end: str) -> Walk:
        """The same walk, no farther than this id."""
        if self.is_ascending:
            return msgspec.structs.replace(self, high=_after(end))
        return msgspec.structs.replace(self, low=_before(end))

    def beyond(self, seen: str) -> Walk:
        """The rest of the walk, behind this id."""
        return msgspec.structs.replace(self, **({"low": seen} if self.is_ascending else {"high": seen}))


def cut(rows: Sequence[Row], limit: int, walk: Walk, end: str | None) -> Slice[Row]:
    """The page in up to `limit + 1` rows, in the order of the walk, with ids first; `end` is where the window ended."""
    kept = list(rows[:limit])
    if len(rows) > limit:
        done, last_seen = False, kept[-1][0]
    else:
        done = end is None
        last_seen = end if end is not None else (kept[-1][0] if kept else None)
    return Slice(kept[::-1] if walk.is_backwards else kept, done, last_seen)


def needs_window(where: MessageFilter, page: Page, *, by_status: bool = False) -> bool:
    """Whether the filter asks for more than the index of the list knows: where it ends, and in the index of troubles
    the status. Times where a walk begins let in some rows that the filter then refuses.
    """
    is_ascending = page.ascending != (page.before is not None and page.after is None)
    known = MessageFilter(
        since_ms=None if is_ascending else where.since_ms,
        until_ms=where.until_ms if is_ascending else None,
        status=where.status if by_status else None,
    )
    return where != known


def _bounds(where: MessageFilter, prefix: str) -> tuple[str, str]:
    since_ms, until_ms = where.since_ms, where.until_ms
    later_ms = ATTEMPT_LATER_MS if prefix == ATTEMPT else LATER_MS
    low = LOWEST if since_ms is None else _before(id_at(prefix, since_ms - EARLIER_MS))
    return low, HIGHEST if until_ms is None else id_at(prefix, until_ms + later_ms)


def _before(identifier: str) -> str:
    """What sorts just before an id: an exclusive bound that lets it in."""
    return f"{identifier[:-1]}{chr(ord(identifier[-1]) - 1)}~"


def _after(identifier: str) -> str:
    return f"{identifier}!"
