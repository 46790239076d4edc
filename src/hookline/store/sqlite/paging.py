"""Pages of lists that go by id, in both directions, with or without a filter."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from hookline.store.protocol import Page, Slice
from hookline.store.walking import WINDOW, Row, Walk, cut


def fetch_page(
    connection: sqlite3.Connection,
    query: str,
    values: Mapping[str, Any],
    page: Page,
    *,
    walk: Walk | None = None,
    window_query: str | None = None,
) -> Slice[Row]:
    """Run a query with `/*direction*/`, `:low`, `:high` and `:limit`. The first column is the id.

    `window_query` finds the last id of the next `:window` rows; without it the query needs no filter. `walk` may be
    narrower than the page's own.
    """
    walk = walk or Walk.of(page)
    end = None if window_query is None else find_end(connection, window_query, values, walk)
    if end is not None:
        walk = walk.until(end)
    return cut(walk_through(connection, query, values, walk, page.limit + 1), page.limit, walk, end)


def find_end(connection: sqlite3.Connection, window_query: str, values: Mapping[str, Any], walk: Walk) -> str | None:
    """The last id of the next window of rows; None when the list ends before."""
    bounds = {**values, "low": walk.low, "high": walk.high, "window": WINDOW - 1}
    row = connection.execute(walk.direct(window_query), bounds).fetchone()
    return None if row is None else row[0]


def walk_through(
    connection: sqlite3.Connection, query: str, values: Mapping[str, Any], walk: Walk, limit: int
) -> list[Row]:
    """The next rows of a walk."""
    bounds = {**values, "low": walk.low, "high": walk.high, "limit": limit}
    return connection.execute(walk.direct(query), bounds).fetchall()
