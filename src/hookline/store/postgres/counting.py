"""How an endpoint fares: its attempts and deliveries by outcome."""

from __future__ import annotations

from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.protocol import AttemptCounts, DeliveryCounts
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.walking import MOST_COUNTED, attempts_between, messages_between

_SQL = load_queries("postgres", "counts")


class Counting(PostgresBase):
    """What surfaces count."""

    async def count_attempts(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int
    ) -> AttemptCounts | None:
        async with self._reads.query() as connection:
            if await _is_enabled(connection, scope, endpoint_id) is None:
                return None
            return await _count_attempts(connection, endpoint_id, since_ms, until_ms)

    async def count_deliveries(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int, now_ms: int
    ) -> DeliveryCounts | None:
        around = (endpoint_id, *messages_between(since_ms, until_ms))
        async with self._reads.query() as connection:
            is_enabled = await _is_enabled(connection, scope, endpoint_id)
            if is_enabled is None:
                return None
            ended = await _count_attempts(connection, endpoint_id, since_ms, until_ms)
            row = await connection.fetchrow(_SQL["free"], *around, MOST_COUNTED, now_ms)
            leased: int = await connection.fetchval(_SQL["leased"], *around)
        assert row is not None
        free, active = row
        sending = leased + (active if is_enabled else 0)
        return DeliveryCounts(ended.succeeded, free + leased - sending, sending, ended.exhausted, ended.canceled)


async def _count_attempts(connection: Connection, endpoint_id: str, since_ms: int, until_ms: int) -> AttemptCounts:
    around = (endpoint_id, *attempts_between(since_ms, until_ms), MOST_COUNTED)
    made: int = await connection.fetchval(_SQL["attempts"], *around)
    row = await connection.fetchrow(_SQL["failures"], *around)
    canceled: int = await connection.fetchval(_SQL["cancellations"], *around)
    assert row is not None
    failed, exhausted = row
    return AttemptCounts(max(0, made - failed - canceled), failed, exhausted, canceled)


async def _is_enabled(connection: Connection, scope: AppScope, endpoint_id: str) -> bool | None:
    """None when there is no such endpoint."""
    found: bool | None = await connection.fetchval(_SQL["is_enabled"], endpoint_id, scope.app_id, scope.org_id)
    return found
