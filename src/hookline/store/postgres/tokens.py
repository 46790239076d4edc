"""Tokens that end before their time."""

from __future__ import annotations

from collections.abc import Sequence

from hookline.store.credentials import TokenName, covers_all
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("postgres", "tokens")


class Tokens(PostgresBase):
    """See `Credentials`."""

    async def revoke_token(self, scope: AppScope, token_id: str, expires_at_ms: int) -> None:
        async with self._reads.transaction() as connection:
            await connection.execute(_SQL["revoke_token"], scope.org_id, scope.app_id, token_id, expires_at_ms)

    async def expire_tokens(
        self,
        scope: AppScope,
        sessions: Sequence[str] | None,
        ends_at_ms: int,
        *,
        now_ms: int,
        forget_at_ms: int,
        most: int,
    ) -> bool:
        names = [""] if sessions is None else list(sessions)
        async with self._reads.transaction() as connection:
            count = await connection.fetchval(_SQL["count_endings"], scope.app_id)
            if count + len(names) > most and not covers_all(sessions, ends_at_ms, now_ms):
                return False
            generation = await connection.fetchval(_SQL["next_generation"], scope.app_id, scope.org_id)
            forgotten = None if sessions is None else forget_at_ms
            values = (scope.org_id, scope.app_id, names, generation, ends_at_ms, forgotten)
            await connection.execute(_SQL["insert_endings"], *values)
            await connection.execute(_SQL["delete_superfluous"], scope.app_id, now_ms)
        return True

    async def token_generation(self, scope: AppScope) -> int:
        found = await self._reads.fetch_value(_SQL["find_generation"], scope.app_id, scope.org_id)
        return 0 if found is None else int(found)

    async def token_end(self, scope: AppScope, name: TokenName) -> int | None:
        values = (scope.org_id, scope.app_id, name.token_id, name.session_id or "", name.generation)
        end: int | None = await self._reads.fetch_value(_SQL["find_end"], *values)
        return end


async def prune(connection: Connection, now_ms: int, limit: int) -> int:
    """Forget what can end nothing any more; how many rows that were."""
    removed = 0
    for name in ("prune_revoked", "prune_endings"):
        removed = max(removed, len(await connection.fetch(_SQL[name], now_ms, limit)))
    return removed


async def delete_of_applications(connection: Connection, app_ids: Sequence[str]) -> None:
    for name in ("delete_revoked_of", "delete_endings_of", "delete_generations_of"):
        await connection.execute(_SQL[name], list(app_ids))
