"""Pages of lists that go by id, in both directions, with or without a filter.

A filter that no index helps looks at a window of rows at most; then the page may be short, or empty, and not the last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from hookline.store.protocol import Page, Slice

WINDOW: Final = 10_000  # rows that one filtered page looks at
_LOWEST, _HIGHEST = "", "\x7f"  # around every id


def fetch_page(
    connection: sqlite3.Connection,
    query: str,
    values: Mapping[str, Any],
    page: Page,
    *,
    id_column: int = 0,
    window_query: str | None = None,
    window: int = WINDOW,
) -> Slice[tuple[Any, ...]]:
    """Run a query with `/*direction*/`, `:low`, `:high` and `:limit`; with a window also `:from_id` and `:to_id`.

    `window_query` finds the last id of the next `window` rows; without it the query needs no filter.
    """
    backwards = page.before is not None and page.after is None
    ascending = page.ascending != backwards
    cursor = page.before if backwards else page.after
    direction = "ASC" if ascending else "DESC"
    bounds: dict[str, Any] = {
        **values,
        "low": cursor if ascending and cursor is not None else _LOWEST,
        "high": cursor if not ascending and cursor is not None else _HIGHEST,
        "limit": page.limit + 1,
    }
    end: str | None = None
    if window_query is not None:
        sql = window_query.replace("/*direction*/", direction)
        row = connection.execute(sql, {**bounds, "window": window - 1}).fetchone()
        if row is not None:
            end = row[0]
            bounds["to_id" if ascending else "from_id"] = end
    rows = connection.execute(query.replace("/*direction*/", direction), bounds).fetchall()
    if len(rows) > page.limit:
        rows, done = rows[: page.limit], False
        last_seen = rows[-1][id_column] if rows else cursor
    else:
        done = end is None
        last_seen = end if end is not None else (rows[-1][id_column] if rows else None)
    return Slice(rows[::-1] if backwards else rows, done, last_seen)
