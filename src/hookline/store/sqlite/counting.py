"""How an endpoint fares: its attempts and deliveries by outcome."""

from __future__ import annotations

import sqlite3

from hookline.store.protocol import AttemptCounts, DeliveryCounts
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.walking import MOST_COUNTED, attempts_between, messages_between

_SQL = load_queries("sqlite", "counts")


def count_attempts(
    connection: sqlite3.Connection, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int
) -> AttemptCounts | None:
    if _is_enabled(connection, scope, endpoint_id) is None:
        return None
    low, high = attempts_between(since_ms, until_ms)
    values = {"endpoint_id": endpoint_id, "low": low, "high": high, "most": MOST_COUNTED}
    (made,) = connection.execute(_SQL["attempts"], values).fetchone()
    failed, exhausted = connection.execute(_SQL["failures"], values).fetchone()
    (canceled,) = connection.execute(_SQL["cancellations"], values).fetchone()
    return AttemptCounts(max(0, made - failed - canceled), failed, exhausted, canceled)


def count_deliveries(
    connection: sqlite3.Connection, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int, now_ms: int
) -> DeliveryCounts | None:
    ended = count_attempts(connection, scope, endpoint_id, since_ms, until_ms)
    if ended is None:
        return None
    low, high = messages_between(since_ms, until_ms)
    values = {
        "endpoint_id": endpoint_id,
        "message_low": low,
        "message_high": high,
        "now_ms": now_ms,
        "most": MOST_COUNTED,
    }
    free, active = connection.execute(_SQL["free"], values).fetchone()
    (leased,) = connection.execute(_SQL["leased"], values).fetchone()
    sending = leased + (active if _is_enabled(connection, scope, endpoint_id) else 0)
    return DeliveryCounts(ended.succeeded, free + leased - sending, sending, ended.exhausted, ended.canceled)


def _is_enabled(connection: sqlite3.Connection, scope: AppScope, endpoint_id: str) -> bool | None:
    """None when there is no such endpoint."""
    values = {"endpoint_id": endpoint_id, "app_id": scope.app_id, "org_id": scope.org_id}
    row = connection.execute(_SQL["is_enabled"], values).fetchone()
    return None if row is None else bool(row[0])
