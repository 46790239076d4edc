"""What tasks read of messages, a page at a time, and their effects: deliveries that are owed again, empty payloads."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite import lanes, retention
from hookline.store.task_rows import MessageRow, StandingRow, UsageRow, build_usage, judge_candidates
from hookline.store.tasks import Candidate, Expunge, MessageWindow, Replay, Usage

_SQL = load_queries("sqlite", "replays")


def count_window(connection: sqlite3.Connection, scope: AppScope, window: MessageWindow, most: int) -> int | None:
    values = {"app_id": scope.app_id, "after": window.after, "to_id": window.to, "most": most}
    (count,) = connection.execute(_SQL["count_window"], values).fetchone()
    return int(count) if count <= most else None


def list_candidates(
    connection: sqlite3.Connection, scope: AppScope, endpoint_id: str, window: MessageWindow, now_ms: int, limit: int
) -> list[Candidate]:
    values = {**_bind(scope, window, limit), "endpoint_id": endpoint_id}
    messages = [MessageRow(*row) for row in connection.execute(_SQL["list_window"], values)]
    of_these = {"ids": _to_json([message.id for message in messages]), "endpoint_id": endpoint_id}
    standing = [
        StandingRow(*row)
        for name in ("list_attempts", "list_pending")
        for row in connection.execute(_SQL[name], of_these)
    ]
    return judge_candidates(endpoint_id, messages, standing, window, now_ms)


def list_contents(
    connection: sqlite3.Connection, scope: AppScope, window: MessageWindow, limit: int
) -> list[tuple[str, bool]]:
    rows = connection.execute(_SQL["list_contents"], _bind(scope, window, limit))
    return [(message_id, bool(has_content)) for message_id, has_content in rows]


def count_usage(connection: sqlite3.Connection, scope: AppScope, window: MessageWindow, limit: int) -> Usage:
    rows = connection.execute(_SQL["count_usage"], _bind(scope, window, limit))
    return build_usage([UsageRow(*row) for row in rows], limit)


def apply(
    connection: sqlite3.Connection, effect: Replay | Expunge, now_ms: int, announcements: list[tuple[str, str]]
) -> int:
    """Do what a step of a task asks for: how many deliveries or payloads it changed."""
    values = {
        "org_id": effect.scope.org_id,
        "app_id": effect.scope.app_id,
        "ids": _to_json(effect.message_ids),
        "now_ms": now_ms,
    }
    if isinstance(effect, Expunge):
        found = connection.execute(_SQL["list_expungeable"], values).fetchall()
        retention.empty_payloads(connection, found, "payload_expunged", now_ms)
        announcements.append(("expunged", effect.scope.app_id))
        return len(found)
    insert = {**values, "endpoint_id": effect.endpoint_id, "kind": effect.kind.value}
    owed = connection.execute(_SQL["insert_replays"], insert).rowcount
    if owed:
        freed = lanes.Freed()
        freed.add(effect.endpoint_id, effect.scope.app_id, now_ms)
        freed.write(connection)
        announcements.append(("lane", effect.endpoint_id))
    return owed


def _bind(scope: AppScope, window: MessageWindow, limit: int) -> dict[str, str | int]:
    return {
        "org_id": scope.org_id,
        "app_id": scope.app_id,
        "after": window.after,
        "to_id": window.to,
        "since_ms": window.since_ms,
        "until_ms": window.until_ms,
        "limit": limit,
    }


def _to_json(ids: Sequence[str]) -> str:
    return orjson.dumps(list(ids)).decode()
