"""Messages, attempts, where deliveries stand, resends, the outbox, and how much is waiting."""

from __future__ import annotations

from hookline.model import Attempt, Message
from hookline.store import records
from hookline.store.changes import OutboxRow
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.endings import touch_lanes
from hookline.store.postgres.failures import retry_contention
from hookline.store.protocol import Backlog, DeliveryView
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.views import EndRow, PendingRow, view_deliveries

_SQL = load_queries("postgres", "messages")
_NOTIFY = load_queries("postgres", "commit")["notify"]


class Reading(PostgresBase):
    """What surfaces read of messages and attempts, and what Relay and metrics read."""

    async def get_message(self, scope: AppScope, id_or_event_id: str, *, with_content: bool = True) -> Message | None:
        async with self._reads.query() as connection:
            row = await connection.fetchrow(
                _SQL["find_message"], scope.app_id, id_or_event_id, scope.org_id, with_content
            )
            if row is None:
                named = await connection.fetchval(
                    _SQL["find_message_id_by_event"], scope.org_id, scope.app_id, id_or_event_id
                )
                if named is not None:
                    row = await connection.fetchrow(
                        _SQL["find_message"], scope.app_id, named, scope.org_id, with_content
                    )
        return None if row is None else records.message_from_row(tuple(row))

    async def get_attempt(self, scope: AppScope, message_id: str, attempt_id: str) -> Attempt | None:
        row = await self._reads.fetch_row(_SQL["find_attempt"], scope.org_id, scope.app_id, message_id, attempt_id)
        return None if row is None else records.attempt_from_row(tuple(row))

    async def deliveries_of_message(self, scope: AppScope, message_id: str, now_ms: int) -> list[DeliveryView]:
        async with self._reads.query() as connection:
            targets = await connection.fetchval(_SQL["find_targets"], scope.app_id, message_id, scope.org_id)
            if targets is None:
                return []
            rows = await connection.fetch(_SQL["list_standing"], message_id)
        ends = [EndRow(*row[1:6]) for row in sorted(rows, key=lambda row: row[10]) if row[0]]
        pending = [PendingRow(row[1], *row[6:10]) for row in rows if not row[0]]
        return view_deliveries(targets.split(",") if targets else [], ends, pending, now_ms)

    async def request_resend(self, scope: AppScope, message_id: str, endpoint_id: str, now_ms: int) -> bool:
        return await retry_contention(lambda: self._resend_once(scope, message_id, endpoint_id, now_ms))

    async def _resend_once(self, scope: AppScope, message_id: str, endpoint_id: str, now_ms: int) -> bool:
        async with self._reads.transaction() as connection:
            if not await connection.fetchval(_SQL["hold_message"], scope.app_id, message_id, scope.org_id):
                return False
            if not await connection.fetchval(_SQL["find_live_endpoint"], endpoint_id, scope.org_id, scope.app_id):
                return False
            await connection.execute(_SQL["insert_resend"], message_id, endpoint_id, scope.app_id, now_ms)
            await touch_lanes(connection, {endpoint_id: (scope.app_id, now_ms)})
            await connection.execute(_NOTIFY, f"lane/{endpoint_id}")
            return True

    async def backlog(self, now_ms: int) -> Backlog:
        async with self._reads.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = on")  # it is the whole table that is asked for
            row = await connection.fetchrow(_SQL["count_backlog"], now_ms)
        assert row is not None
        return Backlog(*row)

    async def read_outbox(self, limit: int) -> list[OutboxRow]:
        return [records.outbox_from_row(tuple(row)) for row in await self._upkeep.fetch(_SQL["read_outbox"], limit)]

    async def refuse_outbox(self, row_id: int, error: str, now_ms: int) -> None:
        await self._upkeep.fetch(_SQL["refuse_outbox"], row_id, error, now_ms)
