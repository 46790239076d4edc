"""Deleted applications: what they leave goes in bounded rounds, called again while they report `more`.

deleted ──at once──> named, told and keyed no more ──rounds──> nothing that was sent or answered is left
    ──ten minutes, when no request to it can be on its way──> no row is left
"""

from __future__ import annotations

import sqlite3

from hookline.store.changes import ERASURE_GRACE_MS, PruneReport
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite import tokens

_SQL = load_queries("sqlite", "erasure")
_LAST = ("delete_lanes", "delete_health", "delete_endpoints", "delete_fanouts", "delete_tasks", "delete_application")


def begin(connection: sqlite3.Connection, scope: AppScope) -> None:
    """What goes with the deletion itself. The application still has its uid."""
    values = {"org_id": scope.org_id, "app_id": scope.app_id}
    for name in ("delete_open_jobs", "delete_outbox", "delete_api_keys", "delete_alert_rules"):
        connection.execute(_SQL[name], values)


def erase(connection: sqlite3.Connection, now_ms: int, limit: int) -> PruneReport:
    """One round."""
    gone = {
        name: connection.execute(_SQL[f"erase_{name}"], {"limit": limit}).rowcount
        for name in ("pending", "messages", "keys", "attempts", "jobs")
    }
    values = {"before_ms": now_ms - ERASURE_GRACE_MS, "limit": limit}
    empty = connection.execute(_SQL["list_empty_applications"], values).fetchall()
    tokens.delete_of_applications(connection, empty)
    for name in _LAST:
        connection.executemany(_SQL[name], empty)
    return PruneReport(
        messages=gone["messages"],
        attempts=gone["attempts"],
        keys=gone["keys"],
        more=max(*gone.values(), len(empty)) >= limit,
    )
