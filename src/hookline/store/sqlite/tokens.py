"""Tokens that end before their time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from hookline.store.credentials import TokenName, covers_all
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("sqlite", "tokens")


def revoke(connection: sqlite3.Connection, scope: AppScope, token_id: str, expires_at_ms: int) -> None:
    connection.execute(_SQL["revoke_token"], (scope.org_id, scope.app_id, token_id, expires_at_ms))


def expire(
    connection: sqlite3.Connection,
    scope: AppScope,
    sessions: Sequence[str] | None,
    ends_at_ms: int,
    now_ms: int,
    forget_at_ms: int,
    most: int,
) -> bool:
    names = [""] if sessions is None else list(sessions)
    (count,) = connection.execute(_SQL["count_endings"], (scope.app_id,)).fetchone()
    if count + len(names) > most and not covers_all(sessions, ends_at_ms, now_ms):
        return False
    (generation,) = connection.execute(_SQL["next_generation"], (scope.app_id, scope.org_id)).fetchone()
    forgotten = None if sessions is None else forget_at_ms
    connection.executemany(
        _SQL["insert_ending"],
        [(scope.org_id, scope.app_id, name, generation, ends_at_ms, forgotten) for name in names],
    )
    connection.execute(_SQL["delete_superfluous"], {"app_id": scope.app_id, "now_ms": now_ms})
    return True


def find_generation(connection: sqlite3.Connection, scope: AppScope) -> int:
    row = connection.execute(_SQL["find_generation"], (scope.app_id, scope.org_id)).fetchone()
    return 0 if row is None else int(row[0])


def find_end(connection: sqlite3.Connection, scope: AppScope, name: TokenName) -> int | None:
    values = {
        "org_id": scope.org_id,
        "app_id": scope.app_id,
        "token_id": name.token_id,
        "session_id": name.session_id or "",
        "generation": name.generation,
    }
    end: int | None = connection.execute(_SQL["find_end"], values).fetchone()[0]
    return end


def prune(connection: sqlite3.Connection, now_ms: int, limit: int) -> int:
    """Forget what can end nothing any more; how many rows that were."""
    removed = 0
    for name in ("prune_revoked", "prune_endings"):
        removed = max(removed, connection.execute(_SQL[name], (now_ms, limit)).rowcount)
    return removed


def delete_of_applications(connection: sqlite3.Connection, app_ids: Iterable[tuple[str]]) -> None:
    rows = list(app_ids)
    for name in ("delete_revoked_of_application", "delete_endings_of_application", "delete_generation_of_application"):
        connection.executemany(_SQL[name], rows)
