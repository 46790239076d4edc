"""Weeks of messages and attempts: made ahead, dropped as a whole, so that retention costs no deletes.

    made (some weeks ahead) ──time──> written ──time──> older than the retention ──> detached, owed rows carried to the
    default partition, dropped: one transaction

Both tables are partitioned by id, and an id begins with its time. What has no week of its own (made before the first
one, or by a clock that is far ahead) lies in the default partition, where the Pruner deletes row by row.
"""

from __future__ import annotations

import logging
import re
from typing import Final

import asyncpg
import msgspec

from hookline.model.ids import ATTEMPT, MESSAGE, id_at
from hookline.store.errors import StoreUnavailableError
from hookline.store.postgres.connections import Connection, Pool
from hookline.store.queries import load_queries

_SQL = load_queries("postgres", "partitions")
log = logging.getLogger("hookline.store.partitions")

WEEK_MS: Final = 7 * 86_400_000
WEEKS_AHEAD: Final = 2
MOST_CARRIED: Final = 5_000  # rows that are carried forward while everybody waits: some tenths of a second
COUNTED_EXACTLY: Final = 100_000  # bigger tables are not read through only to report how many rows went
REST: Final = -1
MESSAGES: Final = "hookline_messages"
ATTEMPTS: Final = "hookline_attempts"
# Making and dropping weeks needs locks that everybody queues behind: give up quickly, come back in an hour.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '300ms'"
PARTITION_LOCK: Final = 7_402_618_501_448_302
_NAME = re.compile(r"hookline_(?:messages|attempts)_w(\d{4,})")


class Week(msgspec.Struct, frozen=True):
    """One partition: a table and the number of its week since 1970. -1 is the default partition."""

    table: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.table}_rest" if self.number < 0 else f"{self.table}_w{self.number:04d}"

    @property
    def end_ms(self) -> int:
        return (self.number + 1) * WEEK_MS

    def fill(self, query: str) -> str:
        """Put this week's names and bounds into a statement."""
        prefix = MESSAGE if self.table == MESSAGES else ATTEMPT
        return _SQL[query].format(
            table=self.table,
            partition=self.name,
            low=id_at(prefix, self.number * WEEK_MS),
            high=id_at(prefix, self.end_ms),
            message_high=id_at(MESSAGE, self.end_ms),
            most=MOST_CARRIED,
        )


class Dropped(msgspec.Struct, frozen=True):
    """What became of the weeks that are over: rows that went, weeks that owe too much, and whether some were busy."""

    messages: int
    attempts: int
    crowded: list[Week]
    busy: bool


async def ensure_partitions(pool: Pool, now_ms: int) -> None:
    """Make the weeks from now on that are missing. Safe by many nodes at once."""
    first = now_ms // WEEK_MS
    for table in (MESSAGES, ATTEMPTS):
        present = await list_weeks(pool, table)
        for number in range(first, first + WEEKS_AHEAD + 1):
            if number not in present:
                await _make(pool, Week(table, number))


async def list_weeks(pool: Pool, table: str) -> set[int]:
    """Which weeks a table has."""
    rows = await pool.fetch(_SQL["list"].format(table=table))
    return {int(match[1]) for row in rows if (match := _NAME.fullmatch(row[0]))}


async def drop_partitions(pool: Pool, before_ms: int) -> Dropped:
    """Drop the weeks that ended by `before_ms`, as far as they owe little and nobody is in the way."""
    gone = {MESSAGES: 0, ATTEMPTS: 0}
    crowded: list[Week] = []
    busy = False
    for table in (MESSAGES, ATTEMPTS):
        for number in sorted(await list_weeks(pool, table)):
            week = Week(table, number)
            if week.end_ms > before_ms:
                continue
            owed = await pool.fetch_value(week.fill(f"count_owed_{table.removeprefix('hookline_')}"))
            if owed > MOST_CARRIED:
                crowded.append(week)
                continue
            rows = await _drop(pool, week)
            busy = busy or rows is None
            gone[table] += rows or 0
    return Dropped(gone[MESSAGES], gone[ATTEMPTS], crowded, busy)


async def _make(pool: Pool, week: Week) -> None:
    try:
        async with pool.transaction() as connection:
            await _take_turns(connection)
            if await connection.fetchval("SELECT to_regclass($1)", week.name) is None:
                await connection.execute(week.fill("create"))
                await connection.execute(week.fill("attach"))
    except (asyncpg.CheckViolationError, StoreUnavailableError) as error:
        # Failure policy: open. Rows without a week of their own go to the default partition; only pruning them costs
        # more. A week that would claim rows which are already there cannot be made.
        log.warning("no partition", extra={"action": "partition_failed", "partition": week.name, "reason": str(error)})


async def _drop(pool: Pool, week: Week) -> int | None:
    """Rows that went with a week; None when it could not be locked now."""
    rows: int = await pool.fetch_value(week.fill("estimate"))
    if rows < COUNTED_EXACTLY:
        rows = await pool.fetch_value(week.fill("count"))
    try:
        async with pool.transaction() as connection:
            await _take_turns(connection)
            if await connection.fetchval("SELECT to_regclass($1)", week.name) is None:
                return 0
            await connection.execute(week.fill("detach"))
            carried = await connection.execute(
                week.fill("carry_messages" if week.table == MESSAGES else "carry_attempts")
            )
            await connection.execute(week.fill("drop"))
    except StoreUnavailableError as error:
        log.info("busy partition", extra={"action": "partition_busy", "partition": week.name, "reason": str(error)})
        return None
    return rows - int(carried.rpartition(" ")[2])


async def _take_turns(connection: Connection) -> None:
    await connection.execute(LOCK_TIMEOUT)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
