"""Background tasks: leasing them, writing their steps, and listing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

import orjson

from hookline import crashpoints
from hookline.model import Task
from hookline.store.protocol import Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope
from hookline.store.sqlite import claiming, replays
from hookline.store.sqlite.paging import fetch_page
from hookline.store.task_rows import task_from_row, task_to_row, to_json
from hookline.store.tasks import ClaimedTask, TaskFilter, TaskLease, TaskLimitError, TaskLostError, TaskStep

_SQL = load_queries("sqlite", "tasks")


def create(connection: sqlite3.Connection, task: Task, most_open: int) -> Task:
    if not connection.execute(_SQL["insert_task"], (*task_to_row(task), most_open)).rowcount:
        raise TaskLimitError("too many tasks are open already; wait until one has ended, or cancel one")
    return task


def find(connection: sqlite3.Connection, scope: OrgScope, task_id: str) -> Task | None:
    row = connection.execute(_SQL["find_task"], (task_id, scope.org_id)).fetchone()
    return None if row is None else task_from_row(row)


def list_page(connection: sqlite3.Connection, scope: OrgScope, page: Page, where: TaskFilter) -> Slice[Task]:
    name = "list_tasks" if where.app_id is None else "list_tasks_of_application"
    values = {
        "org_id": scope.org_id,
        "app_id": where.app_id,
        "states": None if where.states is None else orjson.dumps([state.value for state in where.states]).decode(),
        "kind": where.kind,
    }
    window = None if where.states is None and where.kind is None else _SQL[f"{name}_window"]
    found = fetch_page(connection, _SQL[name], values, page, window_query=window)
    return Slice([task_from_row(row) for row in found.rows], found.done, found.last_seen)


def request_cancel(
    connection: sqlite3.Connection, scope: OrgScope, task_id: str, now_ms: int, clock_ms: int
) -> Task | None:
    key = (task_id, scope.org_id, now_ms)
    row = connection.execute(_SQL["cancel_idle"], (*key, clock_ms)).fetchone()
    if row is None:
        row = connection.execute(_SQL["request_cancel"], key).fetchone()
    return find(connection, scope, task_id) if row is None else task_from_row(row)


def has_due(connection: sqlite3.Connection, kinds: Collection[str], now_ms: int, clock_ms: int) -> bool:
    """Whether `claim` would find something at this moment."""
    return claiming.has_due(connection, _SQL, kinds, now_ms, clock_ms)


def claim(
    connection: sqlite3.Connection,
    node_id: str,
    kinds: Collection[str],
    until_ms: int,
    now_ms: int,
    clock_ms: int,
    limit: int,
) -> list[ClaimedTask]:
    claimed = claiming.claim(connection, _SQL, node_id, kinds, until_ms, now_ms, clock_ms, limit)
    return [ClaimedTask(task_from_row(row), lease) for row, lease in claimed]


def renew(connection: sqlite3.Connection, leases: Sequence[TaskLease], until_ms: int) -> dict[str, bool]:
    kept = {}
    for lease in leases:
        row = connection.execute(_SQL["renew"], (lease.task_id, lease.epoch, until_ms)).fetchone()
        if row is not None:
            kept[lease.task_id] = bool(row[0])
    return kept


def advance(
    connection: sqlite3.Connection, lease: TaskLease, step: TaskStep, now_ms: int, announcements: list[tuple[str, str]]
) -> Task:
    """Write the step and its effect; `announcements` gets whom it concerns."""
    affected = 0 if step.effect is None else replays.apply(connection, step.effect, now_ms, announcements)
    crashpoints.reach("during_task_step")
    row = connection.execute(
        _SQL["advance"],
        {
            "id": lease.task_id,
            "epoch": lease.epoch,
            "cursor": to_json(step.cursor),
            "done": step.done,
            "total": step.total,
            "affected": affected,
            "result": to_json(step.result),
            "state": step.state.value,
            "error": step.error,
            "attempts": step.attempts,
            "due_at_ms": step.due_at_ms,
            "now_ms": now_ms,
            "finished_at_ms": None if step.is_open else now_ms,
        },
    ).fetchone()
    if row is None:
        raise TaskLostError(f"task {lease.task_id} is not this node's any more; whoever has it goes on")
    return task_from_row(row)


def prune(connection: sqlite3.Connection, before_ms: int, limit: int) -> int:
    ended = connection.execute(_SQL["delete_ended"], (before_ms, limit)).rowcount
    return ended + connection.execute(_SQL["delete_of_deleted"], (limit,)).rowcount


def end_leases(connection: sqlite3.Connection) -> None:
    """Let tasks be claimed at once: the process that had them is gone."""
    connection.execute(_SQL["end_leases"])
