"""Rescue: taking over what dead nodes owe, in one bounded transaction per round.

lease ended ──fence──> epoch raised ──> its batches become rows ──> its leased rows become free, or poison
"""

from __future__ import annotations

import sqlite3

from hookline import crashpoints
from hookline.model import AttemptStatus
from hookline.store import announcing
from hookline.store.changes import NodeLease, RescueReport
from hookline.store.queries import load_queries
from hookline.store.sqlite import ends, lanes, operations
from hookline.store.sqlite.nodes import owe_batch

_SQL = load_queries("sqlite", "nodes")


def rescue(
    connection: sqlite3.Connection, node: NodeLease, now_ms: int, clock_ms: int, limit: int, poison_after: int
) -> tuple[RescueReport, list[str]]:
    """Do one round; what was done, and the endpoints that have free rows now. The caller has checked the fence."""
    freed = lanes.Freed()
    # The rescuer itself is alive, whatever its row says: it is here.
    fenced = connection.execute(_SQL["fence"], (clock_ms, node.node_id)).rowcount
    connection.execute(_SQL["free_orphaned_lanes"])
    batches, owed, more = _rescue_batches(connection, now_ms, limit, freed)
    crashpoints.reach("during_rescue")
    room = limit - owed
    rows = connection.execute(_SQL["list_orphaned_rows"], (max(0, room) + 1,)).fetchall()
    more = more or len(rows) > room
    poison = _rescue_rows(connection, rows[: max(0, room)], now_ms, poison_after, freed)
    freed.write(connection)
    freed_rows = len(rows[: max(0, room)]) - poison
    return RescueReport(fenced, batches, owed + freed_rows, poison, more), freed.endpoint_ids


def _rescue_batches(
    connection: sqlite3.Connection, now_ms: int, limit: int, freed: lanes.Freed
) -> tuple[int, int, bool]:
    """Batches until `limit` deliveries are owed, each as a whole: how many batches, deliveries, and whether more."""
    found = connection.execute(_SQL["list_orphaned_batches"], (limit + 1,)).fetchall()
    batches = owed = 0
    for batch_id, members in found:
        if owed >= limit or batches >= limit:
            break
        owed += owe_batch(connection, batch_id, members, now_ms, 1, freed)
        batches += 1
    return batches, owed, batches < len(found)


def _rescue_rows(
    connection: sqlite3.Connection,
    rows: list[tuple[str, str, str, str, int, int]],
    now_ms: int,
    poison_after: int,
    freed: lanes.Freed,
) -> int:
    """Free leased rows of the dead; those that were rescued too often end as poison: how many."""
    poison = ends.Ends(now_ms)
    for message_id, endpoint_id, kind, app_id, attempts, rescues in rows:
        key = (message_id, endpoint_id, kind)
        freed.moved(endpoint_id)
        if rescues + 1 > poison_after:
            # Failure policy: closed. What kills every node that sends it must not kill the next one.
            poison.add(app_id, message_id, endpoint_id, kind, attempts, AttemptStatus.FAILED, "poison")
            connection.execute(_SQL["delete_row"], key)
        else:
            connection.execute(_SQL["free_row"], (now_ms, *key))
            freed.add(endpoint_id, app_id, now_ms)
    poison.write(connection)
    operations.announce(connection, announcing.of_ends(poison.attempts))
    return len(poison)
