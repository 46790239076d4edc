"""Deleted applications: what they leave goes in bounded rounds, called again while they report `more`.

deleted ──at once──> named, told and keyed no more ──rounds──> nothing that was sent or answered is left
    ──ten minutes, when no request to it can be on its way──> no row is left
"""

from __future__ import annotations

from hookline.store.changes import ERASURE_GRACE_MS, PruneReport
from hookline.store.postgres import tokens
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.failures import retry_contention
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("postgres", "erasure")
_LAST = (
    "delete_rates",
    "delete_lanes",
    "delete_health",
    "delete_endpoints",
    "delete_fanouts",
    "delete_tasks",
    "delete_applications",
)


class Erasing(PostgresBase):
    """What Pruner asks after an application was deleted."""

    async def erase_deleted(self, now_ms: int, limit: int) -> PruneReport:
        return await retry_contention(lambda: self._erase_once(now_ms, limit))

    async def _erase_once(self, now_ms: int, limit: int) -> PruneReport:
        gone: dict[str, int] = {}
        for name in ("pending", "sequences", "messages", "keys", "attempts", "jobs"):
            gone[name] = len(await self._upkeep.fetch(_SQL[f"erase_{name}"], limit))
        async with self._upkeep.transaction() as connection:
            before_ms = now_ms - ERASURE_GRACE_MS
            rows = await connection.fetch(_SQL["list_empty_applications"], before_ms, limit)
            empty = [row[0] for row in rows]
            if empty:
                await tokens.delete_of_applications(connection, empty)
                for name in _LAST:
                    await connection.execute(_SQL[name], empty)
        return PruneReport(
            messages=gone["messages"],
            attempts=gone["attempts"],
            keys=gone["keys"],
            more=max(*gone.values(), len(empty)) >= limit,
        )


async def begin_erasure(connection: Connection, scope: AppScope) -> None:
    """What goes with the deletion itself. The application still has its uid."""
    for name in ("delete_open_jobs", "delete_outbox", "delete_api_keys", "delete_alert_rules"):
        await connection.execute(_SQL[name], scope.org_id, scope.app_id)
