"""Pages of lists that go by id, in both directions, with or without a filter.

A filter that no index helps looks at a window of rows at most; then the page may be short, or empty, and not the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec

from hookline.model.ids import ID_MARGIN_MS, id_at
from hookline.store.postgres.connections import Pool
from hookline.store.protocol import MessageFilter, Page, Slice
from hookline.store.records import STATUS_NUMBER

WINDOW: Final = 10_000  # rows that one filtered page looks at
_LOWEST, _HIGHEST = "", "\x7f"  # around every id
_NO_FILTER = MessageFilter()

Row = tuple[Any, ...]


class Walk(msgspec.Struct, frozen=True):
    """How a page goes through ids: between which, and in which direction."""

    low: str
    high: str
    direction: str
    backwards: bool
    cursor: str | None

    @classmethod
    def of(cls, page: Page) -> Walk:
        backwards = page.before is not None and page.after is None
        ascending = page.ascending != backwards
        cursor = page.before if backwards else page.after
        low = cursor if ascending and cursor is not None else _LOWEST
        high = cursor if not ascending and cursor is not None else _HIGHEST
        return cls(low, high, "ASC" if ascending else "DESC", backwards, cursor)

    @property
    def ascending(self) -> bool:
        return self.direction == "ASC"

    def direct(self, sql: str) -> str:
        return sql.replace("/*direction*/", self.direction)


async def fetch_page(pool: Pool, sql: str, page: Page, *values: Any) -> Slice[Row]:
    """Run a list without a filter: $1 and $2 are bounds, $3 the limit, then `values`. The first column is the id."""
    walk = Walk.of(page)
    rows = await pool.fetch(walk.direct(sql), walk.low, walk.high, page.limit + 1, *values)
    return cut(rows, page, walk, None)


async def fetch_filtered_page(
    pool: Pool,
    sql: str,
    window_sql: str,
    page: Page,
    where: MessageFilter,
    prefix: str,
    scope: tuple[str, str],
    parent_id: str | None = None,
    *,
    window: int = WINDOW,
) -> Slice[Row]:
    """Run a list of messages or attempts (ids begin with `prefix`) of `scope` (organization, application)."""
    walk = Walk.of(page)
    first = _LOWEST if where.since_ms is None else id_at(prefix, where.since_ms - ID_MARGIN_MS)
    last = _HIGHEST if where.until_ms is None else id_at(prefix, where.until_ms + ID_MARGIN_MS)
    end: str | None = None
    if where != _NO_FILTER:
        row = await pool.fetch_row(
            walk.direct(window_sql), walk.low, walk.high, first, last, parent_id or scope[1], window - 1
        )
        if row is not None:
            end = row[0]
            first, last = (first, row[0]) if walk.ascending else (row[0], last)
    parent = () if parent_id is None else (parent_id,)
    rows = await pool.fetch(
        walk.direct(sql), walk.low, walk.high, page.limit + 1, first, last, *scope, *_bind(where), *parent
    )
    return cut(rows, page, walk, end)


def _bind(where: MessageFilter) -> tuple[Any, ...]:
    return (
        where.event_types,
        where.channel,
        where.since_ms,
        where.until_ms,
        None if where.status is None else STATUS_NUMBER[where.status],
        where.status_class,
        where.endpoint_id,
        where.tag,
    )


def cut(records: Sequence[asyncpg.Record], page: Page, walk: Walk, end: str | None) -> Slice[Row]:
    """The page from `limit + 1` rows whose first column is the id; `end` is where a window of rows ended."""
    rows = [tuple(record) for record in records]
    if len(rows) > page.limit:
        rows, done = rows[: page.limit], False
        last_seen = rows[-1][0] if rows else walk.cursor
    else:
        done = end is None
        last_seen = end if end is not None else (rows[-1][0] if rows else None)
    return Slice(rows[::-1] if walk.backwards else rows, done, last_seen)
