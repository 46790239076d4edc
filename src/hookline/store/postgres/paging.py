"""Pages of lists that go by id, in both directions, without a filter; and where the window of a filtered one ends."""

from __future__ import annotations

from typing import Any

from hookline.store.postgres.connections import Connection, Pool
from hookline.store.protocol import Page, Slice
from hookline.store.walking import WINDOW, Row, Walk, cut


async def fetch_page(pool: Pool, sql: str, page: Page, *values: Any) -> Slice[Row]:
    """Run a list without a filter: $1 and $2 are bounds, $3 the limit, then `values`. The first column is the id."""
    walk = Walk.of(page)
    async with pool.query() as connection:
        rows = await walk_through(connection, sql, walk, page.limit + 1, *values)
    return cut(rows, page.limit, walk, None)


async def find_end(connection: Connection, window_sql: str, walk: Walk, *values: Any) -> str | None:
    """The last id of the next window of rows; None when the list ends before. $3 is the size of the window."""
    end: str | None = await connection.fetchval(walk.direct(window_sql), walk.low, walk.high, WINDOW - 1, *values)
    return end


async def walk_through(connection: Connection, sql: str, walk: Walk, limit: int, *values: Any) -> list[Row]:
    """The next rows of a walk."""
    return [tuple(row) for row in await connection.fetch(walk.direct(sql), walk.low, walk.high, limit, *values)]
