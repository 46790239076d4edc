"""Payloads that go before their messages: because their time is up, or because somebody asked.

messages locked -> their rows of `pending` locked -> an end for each delivery that has none -> payloads emptied
    -> lanes computed anew -> COMMIT
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from hookline.model import AttemptStatus
from hookline.store.postgres.base import PostgresBase, columns
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.endings import end_of, write_ends
from hookline.store.postgres.failures import retry_contention
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("postgres", "retention")
_CLAIMS = load_queries("postgres", "claims")
_MESSAGES = load_queries("postgres", "messages")
_NOTIFY = load_queries("postgres", "commit")["notify"]

DETAILS: Final = {
    "payload_expired": "No request was made: the payload was removed when its time was up.",
    "payload_expunged": "No request was made: the payload was removed by request.",
}


class Expunging(PostgresBase):
    """What surfaces ask to be forgotten."""

    async def expunge_messages(self, scope: AppScope, message_ids: Sequence[str], now_ms: int) -> set[str]:
        async def once() -> set[str]:
            async with self._reads.transaction() as connection:
                found = await connection.fetch(
                    _SQL["lock_messages"], scope.app_id, scope.org_id, sorted(set(message_ids))
                )
                await expunge(connection, scope, found, now_ms)
            return {row["id"] for row in found}

        return await retry_contention(once)

    async def expunge_attempt(self, scope: AppScope, message_id: str, attempt_id: str, body: bytes) -> bool:
        async with self._reads.query() as connection:
            found = await connection.fetchval(
                _MESSAGES["expunge_attempt"], scope.org_id, scope.app_id, message_id, attempt_id, body
            )
        return found is not None


async def empty_payloads(connection: Connection, names: Sequence[tuple[str, str]], reason: str, now_ms: int) -> int:
    """Empty the payloads of these messages (application, id), which are locked, and end what is still owed of them,
    leased or not: there is nothing to send. How many ends.
    """
    if not names:
        return 0
    chosen = columns(sorted(names), 2)
    await connection.fetch(_SQL["lock_rows_of_messages"], chosen[1])
    rows = await connection.fetch(_SQL["list_unsettled"], *chosen)
    ends = [end_of(row, AttemptStatus.CANCELED, reason, DETAILS[reason], now_ms) for row in rows]
    await write_ends(connection, rows, ends)
    await connection.execute(_SQL["empty_payloads"], *chosen)
    lanes = sorted({row["endpoint_id"] for row in rows})
    locked = [row[0] for row in await connection.fetch(_CLAIMS["await_lanes"], lanes)]
    await connection.execute(_CLAIMS["recompute_lanes"], locked)
    return len(rows)


async def expunge(connection: Connection, scope: AppScope, found: list[asyncpg.Record], now_ms: int) -> int:
    """Empty those that are not empty yet, and tell the nodes; how many."""
    filled = [(row["app_id"], row["id"]) for row in found if not row["payload_expired"]]
    await empty_payloads(connection, filled, "payload_expunged", now_ms)
    await connection.execute(_NOTIFY, f"expunged/{scope.app_id}")
    return len(filled)
