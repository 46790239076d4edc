"""What may go: deliveries to deleted endpoints, expired payloads, and whatever is older than the retention.

All in bounded steps, each a transaction; `more` asks for another round. Old messages and attempts go a week at a time
(see `partitions`), so a row may outlive its retention by up to a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hookline.model import AttemptStatus
from hookline.model.ids import ATTEMPT, ID_MARGIN_MS, MESSAGE, id_at
from hookline.store.changes import PruneReport, Retention
from hookline.store.postgres import answers, partitions, tokens
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.endings import end_of, write_ends
from hookline.store.postgres.expunging import empty_payloads
from hookline.store.postgres.failures import retry_contention
from hookline.store.postgres.partitions import Week
from hookline.store.queries import load_queries
from hookline.store.records import members_from_text

_SQL = load_queries("postgres", "retention")
_CLAIMS = load_queries("postgres", "claims")
_RATES = load_queries("postgres", "rates")

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
TOMBSTONE_MS: Final = HOUR_MS
# What looks through a whole table should be planned for that, unlike all else that the engine does.
_SCAN: Final = (
    "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; "
    "SET LOCAL enable_mergejoin = on; SET LOCAL plan_cache_mode = auto"
)


class Pruning(PostgresBase):
    """What Pruner asks."""

    async def cancel_deleted(self, now_ms: int, limit: int) -> PruneReport:
        return await retry_contention(lambda: self._cancel_once(now_ms, limit))

    async def _cancel_once(self, now_ms: int, limit: int) -> PruneReport:
        async with self._upkeep.transaction() as connection:
            found = await connection.fetch(_SQL["lock_deleted_due"], limit + 1)
            rows = found[:limit]
            detail = "No request was made: the endpoint was deleted."
            ends = [end_of(row, AttemptStatus.CANCELED, "endpoint_deleted", detail, now_ms) for row in rows]
            await write_ends(connection, rows, ends)
            await connection.execute(_CLAIMS["wake_freed"], now_ms)
        return PruneReport(canceled=len(rows), more=len(found) > limit)

    async def expire_payloads(self, now_ms: int, limit: int) -> PruneReport:
        return await retry_contention(lambda: self._expire_once(now_ms, limit))

    async def _expire_once(self, now_ms: int, limit: int) -> PruneReport:
        async with self._upkeep.transaction() as connection:
            found = await connection.fetch(_SQL["lock_expired"], now_ms, limit + 1)
            expired = [(row[0], row[1]) for row in found[:limit]]
            canceled = await empty_payloads(connection, expired, "payload_expired", now_ms)
        return PruneReport(payloads=len(expired), canceled=canceled, more=len(found) > limit)

    async def prune(self, before_ms: int, now_ms: int, limit: int) -> PruneReport:
        await partitions.ensure_partitions(self._upkeep, now_ms)
        dropped = await partitions.drop_partitions(self._upkeep, before_ms)
        more_messages, more_attempts = await self._delete_old(dropped.crowded, before_ms, limit)
        await self._delete_endpoints(now_ms - DAY_MS, limit)
        async with self._upkeep.transaction() as connection:
            keys = len(await connection.fetch(_SQL["delete_keys"], now_ms, limit))
            expired_rows = await tokens.prune(connection, now_ms, limit)
            expired_rows = max(expired_rows, await answers.prune(connection, now_ms, limit))
            fanouts_before_ms = before_ms - partitions.WEEK_MS - HOUR_MS
            await connection.execute(
                _SQL["delete_fanouts"], fanouts_before_ms, id_at(MESSAGE, before_ms + ID_MARGIN_MS)
            )
            await connection.execute(_SQL["delete_dead_nodes"], DAY_MS)
            await connection.execute(_SQL["delete_tombstones"], TOMBSTONE_MS)
            await connection.execute(_RATES["forget_rates"], HOUR_MS)
        return PruneReport(
            messages=dropped.messages + more_messages,
            attempts=dropped.attempts + more_attempts,
            keys=keys,
            more=dropped.busy or max(more_messages, more_attempts, keys, expired_rows) >= limit,
        )

    async def list_retentions(self) -> list[Retention]:
        async with self._upkeep.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = on")  # it is the whole table that is asked for
            return [Retention(*row) for row in await connection.fetch(_SQL["list_retentions"])]

    async def prune_organization(self, org_id: str, before_ms: int, limit: int) -> PruneReport:
        async with self._upkeep.transaction() as connection:
            edge, members = id_at(MESSAGE, before_ms + ID_MARGIN_MS), await _members(connection)
            old = (org_id, edge, before_ms, members, limit)
            messages = len(await connection.fetch(_SQL["delete_old_messages_of"], *old))
        edge = id_at(ATTEMPT, before_ms + ID_MARGIN_MS)
        attempts = len(await self._upkeep.fetch(_SQL["delete_old_attempts_of"], org_id, edge, before_ms, limit))
        return PruneReport(messages=messages, attempts=attempts, more=max(messages, attempts) >= limit)

    async def _delete_old(self, crowded: Sequence[Week], before_ms: int, limit: int) -> tuple[int, int]:
        """Row by row, from the default partitions and from weeks that could not be dropped; messages first."""
        rest = [Week(partitions.MESSAGES, partitions.REST), Week(partitions.ATTEMPTS, partitions.REST)]
        messages = attempts = 0
        for week in sorted([*rest, *crowded], key=lambda week: week.table != partitions.MESSAGES):
            async with self._upkeep.transaction() as connection:
                await connection.execute(_SCAN)
                if week.table == partitions.MESSAGES:
                    edge = id_at(MESSAGE, before_ms + ID_MARGIN_MS)
                    members = await _members(connection)
                    left = limit - messages
                    found = await connection.fetch(week.fill("delete_messages"), edge, before_ms, members, left)
                    messages += len(found)
                else:
                    edge = id_at(ATTEMPT, before_ms + ID_MARGIN_MS)
                    left = limit - attempts
                    attempts += len(await connection.fetch(week.fill("delete_attempts"), edge, before_ms, left))
        return messages, attempts

    async def _delete_endpoints(self, deleted_before_ms: int, limit: int) -> None:
        """Deleted endpoints of living applications that no attempt names any more."""
        async with self._upkeep.transaction() as connection:
            endpoints = await connection.fetch(_SQL["delete_gone_endpoints"], deleted_before_ms, limit)
            await connection.execute(_SQL["delete_lanes"], [row[0] for row in endpoints])


async def _members(connection: Connection) -> list[str]:
    """Messages that a batch still owes."""
    rows = await connection.fetch(_SQL["list_members"])
    return [message_id for row in rows for _, message_id in members_from_text(row[0])]
