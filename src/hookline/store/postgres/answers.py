"""Answers to requests with an Idempotency-Key."""

from __future__ import annotations

from hookline.store.answers import ANSWER_COLUMN, MAX_ANSWER_BYTES, MAX_ANSWERS, KeptAnswer, row_name, wants_trim
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.failures import ContentionError, retry_contention
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope

_SQL = load_queries("postgres", "answers")


class Answers(PostgresBase):
    """See `store.answers.Answers`."""

    async def claim_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, fingerprint: bytes, now_ms: int, until_ms: int
    ) -> KeptAnswer | None:
        async def once() -> KeptAnswer | None:
            async with self._reads.transaction() as connection:
                values = (scope.org_id, name, owner, fingerprint, until_ms, now_ms)
                if await connection.fetchval(_SQL["claim"], *values) is not None:
                    if wants_trim(name):
                        await connection.execute(_SQL["trim"], scope.org_id, MAX_ANSWERS, MAX_ANSWER_BYTES)
                    return None
                row = await connection.fetchrow(_SQL["find"], scope.org_id, name)
            if row is None:
                raise ContentionError("the request that had this key has just given it back; try again")
            kept, sealed = row
            return KeptAnswer(
                kept, None if sealed is None else self._key_ring.open(sealed, ANSWER_COLUMN, row_name(scope, name))
            )

        return await retry_contention(once)

    async def keep_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, answer: bytes, expires_at_ms: int
    ) -> bool:
        sealed = self._key_ring.seal(answer, ANSWER_COLUMN, row_name(scope, name))
        values = (scope.org_id, name, owner, sealed, len(sealed), expires_at_ms)
        return await self._reads.fetch_value(_SQL["keep"], *values) is not None

    async def release_answer(self, scope: OrgScope, name: bytes, *, owner: bytes) -> None:
        await self._reads.fetch(_SQL["release"], scope.org_id, name, owner)


async def prune(connection: Connection, now_ms: int, limit: int) -> int:
    """Remove what has expired; how many rows that were."""
    return len(await connection.fetch(_SQL["prune"], now_ms, limit))
