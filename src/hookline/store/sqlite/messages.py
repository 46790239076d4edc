"""Messages, attempts, where deliveries stand, resends, and the outbox."""

from __future__ import annotations

import sqlite3

from hookline.model import Attempt, Message
from hookline.store import records
from hookline.store.changes import OutboxRow
from hookline.store.protocol import Backlog, DeliveryView
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite import lanes
from hookline.store.sqlite.management import find_endpoint_id
from hookline.store.views import EndRow, PendingRow, view_deliveries

_SQL = load_queries("sqlite", "messages")
_OUTBOX_SQL = load_queries("sqlite", "outbox")


def find_message(
    connection: sqlite3.Connection, scope: AppScope, id_or_event_id: str, *, with_content: bool
) -> Message | None:
    wanted = {"org_id": scope.org_id, "app_id": scope.app_id, "id": id_or_event_id, "with_content": with_content}
    row = connection.execute(_SQL["find_message"], wanted).fetchone()
    if row is None:
        key = (scope.org_id, scope.app_id, f"event:{id_or_event_id}")
        named = connection.execute(_SQL["find_message_of_key"], key).fetchone()
        if named is not None:
            row = connection.execute(_SQL["find_message"], {**wanted, "id": named[0]}).fetchone()
    return None if row is None else records.message_from_row(row)


def find_attempt(connection: sqlite3.Connection, scope: AppScope, message_id: str, attempt_id: str) -> Attempt | None:
    values = {"org_id": scope.org_id, "app_id": scope.app_id, "message_id": message_id, "id": attempt_id}
    row = connection.execute(_SQL["find_attempt"], values).fetchone()
    return None if row is None else records.attempt_from_row(row)


def expunge_attempt(
    connection: sqlite3.Connection, scope: AppScope, message_id: str, attempt_id: str, body: bytes
) -> bool:
    row = (body, message_id, attempt_id, scope.app_id, scope.org_id)
    return connection.execute(_SQL["expunge_attempt"], row).rowcount > 0


def view_message(connection: sqlite3.Connection, scope: AppScope, message_id: str, now_ms: int) -> list[DeliveryView]:
    row = connection.execute(_SQL["find_targets"], (scope.app_id, message_id, scope.org_id)).fetchone()
    if row is None:
        return []
    ends = [EndRow(*end) for end in connection.execute(_SQL["list_ends"], (message_id,))]
    pending = [PendingRow(*pending) for pending in connection.execute(_SQL["list_pending"], (message_id,))]
    return view_deliveries(row[0].split(",") if row[0] else [], ends, pending, now_ms)


def request_resend(
    connection: sqlite3.Connection, scope: AppScope, message_id: str, endpoint_id: str, now_ms: int
) -> bool:
    if not connection.execute(_SQL["find_message_to_send"], (scope.app_id, message_id, scope.org_id)).fetchone():
        return False
    if not find_endpoint_id(connection, scope, endpoint_id):
        return False
    connection.execute(_SQL["insert_resend"], (message_id, endpoint_id, scope.app_id, now_ms))
    freed = lanes.Freed()
    freed.add(endpoint_id, scope.app_id, now_ms)
    freed.write(connection)
    return True


def count_backlog(connection: sqlite3.Connection, now_ms: int) -> Backlog:
    due, waiting, leased, parked, oldest = connection.execute(_SQL["count_backlog"], {"now_ms": now_ms}).fetchone()
    (batches,) = connection.execute(_SQL["count_batches"]).fetchone()
    return Backlog(due, waiting, leased, parked, oldest, batches)


def read_outbox(connection: sqlite3.Connection, limit: int) -> list[OutboxRow]:
    return [records.outbox_from_row(row) for row in connection.execute(_OUTBOX_SQL["list_waiting"], (limit,))]


def refuse_outbox(connection: sqlite3.Connection, row_id: int, error: str, now_ms: int) -> None:
    connection.execute(_OUTBOX_SQL["refuse"], (error, now_ms, row_id))
