"""Ends by time and by deletion, and pruning: bounded rounds, called again while they report `more`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from hookline.model import AttemptStatus, Kind
from hookline.model.ids import ATTEMPT, ID_MARGIN_MS, MESSAGE, id_at
from hookline.store import records
from hookline.store.changes import PruneReport, Retention
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite import answers, ends, lanes, tokens

_SQL = load_queries("sqlite", "retention")
_CANCELED = AttemptStatus.CANCELED

DAY_MS: Final = 86_400_000  # how long dead nodes, deleted applications and given-up batch ids are kept


def cancel_deleted(connection: sqlite3.Connection, now_ms: int, limit: int) -> PruneReport:
    """End free deliveries to deleted endpoints."""
    found = connection.execute(_SQL["list_deleted_due"], (limit + 1,)).fetchall()
    canceled = ends.Ends(now_ms)
    for message_id, endpoint_id, kind, app_id, attempts in found[:limit]:
        canceled.add(app_id, message_id, endpoint_id, kind, attempts, _CANCELED, "endpoint_deleted")
        connection.execute(_SQL["delete_row"], (message_id, endpoint_id, kind))
    canceled.write(connection)
    return PruneReport(canceled=len(canceled), more=len(found) > limit)


def expire_payloads(connection: sqlite3.Connection, now_ms: int, limit: int) -> PruneReport:
    """Empty payloads whose time has come."""
    found = connection.execute(_SQL["list_expired"], (now_ms, limit + 1)).fetchall()
    canceled = empty_payloads(connection, found[:limit], "payload_expired", now_ms)
    return PruneReport(payloads=min(len(found), limit), canceled=canceled, more=len(found) > limit)


def expunge_messages(
    connection: sqlite3.Connection, scope: AppScope, message_ids: Sequence[str], now_ms: int
) -> set[str]:
    """Empty these payloads; the ids of the messages that there are."""
    found = [
        row
        for message_id in sorted(set(message_ids))
        for row in connection.execute(_SQL["find_filled"], (scope.app_id, scope.org_id, message_id))
    ]
    empty_payloads(connection, [row[:3] for row in found if not row[3]], "payload_expunged", now_ms)
    return {row[1] for row in found}


def empty_payloads(
    connection: sqlite3.Connection, found: Sequence[tuple[str, str, str]], reason: str, now_ms: int
) -> int:
    """Empty payloads, and end what is still owed of them, leased or not: there is nothing to send. How many ends."""
    canceled = ends.Ends(now_ms)
    touched: set[str] = set()
    for app_id, message_id, targets in found:
        rows = connection.execute(_SQL["list_rows"], (message_id,)).fetchall()
        settled = {row[0] for row in connection.execute(_SQL["list_settled"], (message_id,))}
        scheduled = {endpoint_id for endpoint_id, kind, _ in rows if kind == Kind.SCHEDULED}
        for endpoint_id, kind, attempts in rows:
            canceled.add(app_id, message_id, endpoint_id, kind, attempts, _CANCELED, reason)
            touched.add(endpoint_id)
        for endpoint_id in targets.split(",") if targets else ():
            if endpoint_id not in settled and endpoint_id not in scheduled:
                canceled.add(app_id, message_id, endpoint_id, Kind.SCHEDULED.value, 0, _CANCELED, reason)
        connection.execute(_SQL["delete_rows"], (message_id,))
        connection.execute(_SQL["empty_payload"], (app_id, message_id))
    canceled.write(connection)
    lanes.recompute(connection, touched)
    return len(canceled)


def prune(connection: sqlite3.Connection, before_ms: int, now_ms: int, clock_ms: int, limit: int) -> PruneReport:
    """Remove what is old enough and owed by nobody."""
    deleted_before_ms = now_ms - DAY_MS
    values = {
        "before_ms": before_ms,
        "deleted_before_ms": deleted_before_ms,
        "limit": limit,
    }
    messages = _prune_messages(connection, {**values, "edge": id_at(MESSAGE, before_ms + ID_MARGIN_MS)}, limit)
    of_attempts = {**values, "edge": id_at(ATTEMPT, before_ms + ID_MARGIN_MS)}
    attempts = connection.execute(_SQL["delete_old_attempts"], of_attempts).rowcount
    keys = connection.execute(_SQL["delete_keys"], (now_ms, limit)).rowcount
    expired_rows = max(tokens.prune(connection, now_ms, limit), answers.prune(connection, now_ms, limit))
    connection.execute(_SQL["delete_fanouts"], {**values, "edge": id_at(MESSAGE, before_ms + ID_MARGIN_MS)})
    gone = _prune_gone(connection, values)
    connection.execute(_SQL["delete_dead_nodes"], (clock_ms - DAY_MS,))
    connection.execute(_SQL["delete_tombstones"], (clock_ms - DAY_MS,))
    return PruneReport(
        messages=messages, attempts=attempts, keys=keys, more=limit <= max(messages, attempts, keys, expired_rows, gone)
    )


def list_retentions(connection: sqlite3.Connection) -> list[Retention]:
    return [Retention(*row) for row in connection.execute(_SQL["list_retentions"])]


def prune_organization(connection: sqlite3.Connection, org_id: str, before_ms: int, limit: int) -> PruneReport:
    """Remove what is old enough for one organization and owed by nobody."""
    values = {"org_id": org_id, "before_ms": before_ms, "limit": limit}
    of_messages = {**values, "edge": id_at(MESSAGE, before_ms + ID_MARGIN_MS)}
    messages = _prune_messages(connection, of_messages, limit, "list_old_messages_of")
    of_attempts = {**values, "edge": id_at(ATTEMPT, before_ms + ID_MARGIN_MS)}
    attempts = connection.execute(_SQL["delete_old_attempts_of"], of_attempts).rowcount
    return PruneReport(messages=messages, attempts=attempts, more=max(messages, attempts) >= limit)


def _prune_messages(
    connection: sqlite3.Connection, values: dict[str, Any], limit: int, name: str = "list_old_messages"
) -> int:
    held = {
        member for (text,) in connection.execute(_SQL["list_members"]) for member in records.members_from_text(text)
    }
    # A batch holds few messages and lives for seconds; more are asked for so that it hides none of the others.
    found = connection.execute(_SQL[name], {**values, "limit": limit + len(held)}).fetchall()
    free = [key for key in found if key not in held][:limit]
    connection.executemany(_SQL["delete_message"], free)
    return len(free)


def _prune_gone(connection: sqlite3.Connection, values: dict[str, int]) -> int:
    """Remove deleted endpoints that nothing points to any more."""
    endpoints = connection.execute(_SQL["list_gone_endpoints"], values).fetchall()
    connection.executemany(_SQL["delete_endpoint"], endpoints)
    connection.executemany(_SQL["delete_lane"], endpoints)
    return len(endpoints)
