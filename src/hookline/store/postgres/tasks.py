"""Background tasks, with SKIP LOCKED: many nodes claim, and none waits for another.

task locked (its epoch is checked) -> the effect -> where to go on -> COMMIT

What is owed since takes the locks of `pending` and then of its lane, as everywhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hookline import crashpoints
from hookline.model import Task
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.endings import touch_lanes
from hookline.store.postgres.expunging import expunge
from hookline.store.postgres.failures import retry_contention
from hookline.store.postgres.paging import find_end, walk_through
from hookline.store.protocol import Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope, OrgScope
from hookline.store.task_rows import (
    MessageRow,
    StandingRow,
    UsageRow,
    build_usage,
    judge_candidates,
    task_from_row,
    task_to_row,
    to_json,
)
from hookline.store.tasks import (
    Candidate,
    ClaimedTask,
    Expunge,
    MessageWindow,
    Replay,
    TaskFilter,
    TaskLease,
    TaskLimitError,
    TaskLostError,
    TaskStep,
    Usage,
)
from hookline.store.walking import Walk, cut

_SQL = load_queries("postgres", "tasks")
_REPLAYS = load_queries("postgres", "replays")
_NOTIFY = load_queries("postgres", "commit")["notify"]


class Tasks(PostgresBase):
    """The `TaskStore` side, on connections of its own."""

    async def create_task(self, task: Task, *, most_open: int) -> Task:
        async with self._tasks.transaction() as connection:
            if await connection.fetchval(_SQL["insert_task"], *task_to_row(task), most_open) is None:
                raise TaskLimitError("too many tasks are open already; wait until one has ended, or cancel one")
            await connection.execute(_NOTIFY, f"task/{task.id}")
        return task

    async def get_task(self, scope: OrgScope, task_id: str) -> Task | None:
        row = await self._tasks.fetch_row(_SQL["find_task"], task_id, scope.org_id)
        return None if row is None else task_from_row(tuple(row))

    async def list_tasks(self, scope: OrgScope, page: Page, where: TaskFilter) -> Slice[Task]:
        walk = Walk.of(page)
        name = "list_tasks" if where.app_id is None else "list_tasks_of_application"
        end = None
        states = None if where.states is None else [state.value for state in where.states]
        values = (scope.org_id, states, where.kind, *(() if where.app_id is None else (where.app_id,)))
        async with self._tasks.query() as connection:
            if where.states is not None or where.kind is not None:
                owner = scope.org_id if where.app_id is None else where.app_id
                end = await find_end(connection, _SQL[f"{name}_window"], walk, owner)
                if end is not None:
                    walk = walk.until(end)
            rows = await walk_through(connection, _SQL[name], walk, page.limit + 1, *values)
        found = cut(rows, page.limit, walk, end)
        return Slice([task_from_row(row) for row in found.rows], found.done, found.last_seen)

    async def request_cancel(self, scope: OrgScope, task_id: str, now_ms: int) -> Task | None:
        key = (task_id, scope.org_id, now_ms)
        row = await self._tasks.fetch_row(_SQL["cancel_idle"], *key)
        if row is None:
            row = await self._tasks.fetch_row(_SQL["request_cancel"], *key)
        return await self.get_task(scope, task_id) if row is None else task_from_row(tuple(row))

    async def claim_tasks(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedTask]:
        rows = await self._tasks.fetch(_SQL["claim"], node_id, round(lease_s * 1000), now_ms, list(kinds), limit)
        claimed = []
        for record in rows:
            *row, epoch = record
            claimed.append(ClaimedTask(task_from_row(row), TaskLease(record[0], epoch)))
        return sorted(claimed, key=lambda one: one.task.due_at_ms)

    async def renew_tasks(self, leases: Sequence[TaskLease], lease_s: float) -> dict[str, bool]:
        ids, epochs = [lease.task_id for lease in leases], [lease.epoch for lease in leases]
        rows = await self._tasks.fetch(_SQL["renew"], ids, epochs, round(lease_s * 1000))
        return {row[0]: row[1] for row in rows}

    async def advance_task(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task:
        return await retry_contention(lambda: self._advance_once(lease, step, now_ms))

    async def _advance_once(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task:
        async with self._tasks.transaction() as connection:
            if await connection.fetchval(_SQL["hold_task"], lease.task_id, lease.epoch) is None:
                raise TaskLostError(f"task {lease.task_id} is not this node's any more; whoever has it goes on")
            affected = 0 if step.effect is None else await _apply(connection, step.effect, now_ms)
            crashpoints.reach("during_task_step")
            row = await connection.fetchrow(
                _SQL["advance"],
                lease.task_id,
                to_json(step.cursor),
                step.done,
                step.total,
                affected,
                to_json(step.result),
                step.state.value,
                step.error,
                step.attempts,
                step.due_at_ms,
                now_ms,
                None if step.is_open else now_ms,
            )
        assert row is not None
        return task_from_row(tuple(row))

    async def prune_tasks(self, before_ms: int, limit: int) -> int:
        ended = await self._tasks.fetch(_SQL["delete_ended"], before_ms, limit)
        return len(ended) + len(await self._tasks.fetch(_SQL["delete_of_deleted"], limit))

    async def count_window(self, scope: AppScope, window: MessageWindow, most: int) -> int | None:
        count = await self._tasks.fetch_value(_REPLAYS["count_window"], scope.app_id, window.after, window.to, most)
        return int(count) if count <= most else None

    async def list_candidates(
        self, scope: AppScope, endpoint_id: str, window: MessageWindow, now_ms: int, limit: int
    ) -> list[Candidate]:
        async with self._tasks.query() as connection:
            rows = await connection.fetch(_REPLAYS["list_window"], *_bind(scope, window, limit), endpoint_id)
            messages = [MessageRow(*row) for row in rows]
            ids = [message.id for message in messages]
            standing = await connection.fetch(_REPLAYS["list_standing"], ids, endpoint_id)
        return judge_candidates(endpoint_id, messages, [StandingRow(*row[:11]) for row in standing], window, now_ms)

    async def list_contents(self, scope: AppScope, window: MessageWindow, limit: int) -> list[tuple[str, bool]]:
        values = (*_bind(scope, window, limit), window.since_ms, window.until_ms)
        return [(row[0], row[1]) for row in await self._tasks.fetch(_REPLAYS["list_contents"], *values)]

    async def count_usage(self, scope: AppScope, window: MessageWindow, limit: int) -> Usage:
        values = (*_bind(scope, window, limit), window.since_ms, window.until_ms)
        rows = await self._tasks.fetch(_REPLAYS["count_usage"], *values)
        return build_usage([UsageRow(*row) for row in rows], limit)


async def _apply(connection: Connection, effect: Replay | Expunge, now_ms: int) -> int:
    """Do what a step of a task asks for: how many deliveries or payloads it changed."""
    wanted = (effect.scope.org_id, effect.scope.app_id, list(effect.message_ids))
    if isinstance(effect, Expunge):
        found = await connection.fetch(_REPLAYS["lock_contents"], *wanted)
        return await expunge(connection, effect.scope, found, now_ms)
    held = [row[0] for row in await connection.fetch(_REPLAYS["hold_messages"], *wanted)]
    endpoint_id, app_id = effect.endpoint_id, effect.scope.app_id
    owed = await connection.fetch(_REPLAYS["insert_replays"], held, endpoint_id, effect.kind.value, now_ms, app_id)
    if owed:
        await touch_lanes(connection, {endpoint_id: (app_id, now_ms)})
        await connection.execute(_NOTIFY, f"lane/{endpoint_id}")
    return len(owed)


def _bind(scope: AppScope, window: MessageWindow, limit: int) -> tuple[str, str, str, str, int]:
    return scope.org_id, scope.app_id, window.after, window.to, limit
