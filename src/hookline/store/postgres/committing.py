"""The one write path: messages, outcomes and house-keeping of `pending`, in one transaction.

The happy path is five round trips and a bit: BEGIN; fence, routing check and batch rows in one statement; COPY of the
messages; COPY of the attempts; COMMIT. Keys, ordered targets and trouble add statements only when there are any.

    begun ──fenced, stale──> rolled back
      └──> written ──COMMIT──> kept
                        └──no answer──> ambiguous: the attempts are remembered, and whoever brings one again is asked
                                        to wait until it is known whether it is there
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

from hookline import crashpoints
from hookline.store.changes import Commit, CommitResult, Outcome
from hookline.store.errors import (
    AmbiguousCommitError,
    ConflictError,
    StoreUnavailableError,
)
from hookline.store.postgres.base import (
    PostgresBase,
    await_own_transactions,
    copy_rows,
)
from hookline.store.postgres.failures import DRIVER_ERRORS, is_connection_loss, retry_contention
from hookline.store.postgres.outcomes import attempt_rows
from hookline.store.postgres.work import Work
from hookline.store.queries import load_queries
from hookline.store.records import message_to_row, targets_to_text

_SQL = load_queries("postgres", "commit")

FANOUT_FRESH_MS: Final = 3_600_000  # a fanout that was noted as used so recently need not be noted again
MOST_FANOUTS_KNOWN: Final = 10_000

MESSAGE_COLUMNS: Final = (
    "app_id",
    "id",
    "org_id",
    "event_type",
    "event_id",
    "channels",
    "payload",
    "targets",
    "note",
    "created_at_ms",
    "payload_expires_at_ms",
    "tags",
    "deliver_at_ms",
)
ATTEMPT_COLUMNS: Final = (
    "id",
    "app_id",
    "message_id",
    "endpoint_id",
    "kind",
    "number",
    "url",
    "status",
    "final",
    "reason",
    "detail",
    "response_status",
    "response_body",
    "duration_ms",
    "created_at_ms",
    "next_attempt_at_ms",
)


class Committing(PostgresBase):
    """`commit` and `resolve_batch`."""

    #: attempts of commits whose answer was lost -> the batch of that commit
    _unsure: dict[str, str | None]
    #: hashes of fanouts -> when they were last noted as used
    _fanouts: dict[str, int]

    async def commit(self, change: Commit) -> CommitResult:
        try:
            return await retry_contention(lambda: self._commit_once(change))
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "hookline_batches_pkey":
                raise
            raise ConflictError("this batch was given up; commit its messages under a new batch id") from error

    async def resolve_batch(self, batch_id: str) -> bool:
        async with self._reads.query() as connection:
            if await connection.fetchval(_SQL["resolve_batch"], batch_id):
                return False
            # A second statement, because the first one's snapshot may be older than the row that it waited for.
            committed = bool(await connection.fetchval(_SQL["find_batch"], batch_id))
        if committed:
            self._unsure = {attempt: batch for attempt, batch in self._unsure.items() if batch != batch_id}
        return committed

    async def _commit_once(self, change: Commit) -> CommitResult:
        async with self._commits.lease() as connection:
            await connection.execute(self._commits.begin)
            work = Work(connection, change)
            await work.begin()
            await work.settle_keys()
            await self._write_messages(work)
            outcomes = await self._leave_out_recorded(work)
            if outcomes:
                await copy_rows(connection, "hookline_attempts", ATTEMPT_COLUMNS, attempt_rows(outcomes))
            await work.disable_endpoints()
            await work.change_pending(outcomes)
            await work.touch_lanes()
            await work.note_health()
            await work.bump_routing()
            await work.notify()
            crashpoints.reach("before_commit")
            await self._finish(work)
            crashpoints.reach("after_commit")
        self._forget(change)
        for digest in work.fanouts:
            self._fanouts[digest] = change.now_ms
        return work.result

    async def _finish(self, work: Work) -> None:
        try:
            done = await work.connection.execute("COMMIT")
        except (asyncio.CancelledError, *DRIVER_ERRORS) as error:
            if isinstance(error, asyncpg.PostgresError) and not is_connection_loss(error):
                raise  # the server answered, and the answer was no
            # Failure policy: nobody can tell yet. The engine asks; until then these attempts are not written again.
            batch_id = work.change.batch_id
            self._unsure.update((outcome.attempt.id, batch_id) for outcome in work.change.outcomes)
            if isinstance(error, asyncio.CancelledError):
                raise
            work.connection.terminate()
            raise AmbiguousCommitError(
                f"the answer to COMMIT was lost ({type(error).__name__}); ask resolve_batch", result=work.result
            ) from error
        if done != "COMMIT":
            raise StoreUnavailableError("PostgreSQL rolled the transaction back; try again")

    async def _leave_out_recorded(self, work: Work) -> Sequence[Outcome]:
        """Outcomes without those that an earlier commit, whose answer was lost, did record.

        A commit is kept or lost as a whole, so what belongs to a recorded attempt was done with it.
        """
        outcomes = work.change.outcomes
        if not self._unsure:
            return outcomes
        unsure = [outcome.attempt for outcome in outcomes if outcome.attempt.id in self._unsure]
        if not unsure:
            return outcomes
        await await_own_transactions(work.connection, work.change.node)
        found = await work.connection.fetch(
            _SQL["find_recorded"], [attempt.message_id for attempt in unsure], [attempt.id for attempt in unsure]
        )
        recorded = {row[0] for row in found}
        return [outcome for outcome in outcomes if outcome.attempt.id not in recorded]

    def _forget(self, change: Commit) -> None:
        if self._unsure:
            for outcome in change.outcomes:
                self._unsure.pop(outcome.attempt.id, None)

    async def _write_messages(self, work: Work) -> None:
        kept = work.kept_messages()
        if not kept:
            return
        rows = []
        fanouts: dict[str, tuple[str, str]] = {}
        for new in kept:
            message = new.message
            text, digest = targets_to_text(message.targets)
            if digest is not None:
                fanouts[digest] = (message.app_id, ",".join(message.targets))
            rows.append(message_to_row(message, text))
        await self._keep_fanouts(work, fanouts)
        await copy_rows(work.connection, "hookline_messages", MESSAGE_COLUMNS, rows)
        await work.insert_late_batch(kept)

    async def _keep_fanouts(self, work: Work, fanouts: dict[str, tuple[str, str]]) -> None:
        now_ms = work.change.now_ms
        fresh = sorted(
            digest
            for digest in fanouts
            if digest not in self._fanouts or self._fanouts[digest] < now_ms - FANOUT_FRESH_MS
        )
        if not fresh:
            return
        if len(self._fanouts) > MOST_FANOUTS_KNOWN:
            self._fanouts.clear()
        app_ids = [fanouts[digest][0] for digest in fresh]
        await work.connection.execute(
            _SQL["keep_fanouts"], fresh, app_ids, [fanouts[digest][1] for digest in fresh], now_ms
        )
        work.fanouts = fresh
