"""Nodes: their leases, on the clock of the one machine that a SQLite file lives on, and their batches."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from hookline.store import records
from hookline.store.changes import NodeLease
from hookline.store.queries import load_queries
from hookline.store.sqlite import lanes

_SQL = load_queries("sqlite", "nodes")


def register(connection: sqlite3.Connection, node_id: str, lease_s: float, clock_ms: int) -> NodeLease:
    (epoch,) = connection.execute(_SQL["find_epoch"], (node_id,)).fetchone()
    connection.execute(_SQL["set_epoch_clock"], (epoch,))
    connection.execute(_SQL["put_node"], (node_id, epoch, _end_of_lease(clock_ms, lease_s), clock_ms))
    return NodeLease(node_id, epoch)


def renew(connection: sqlite3.Connection, node: NodeLease, lease_s: float, clock_ms: int) -> bool:
    row = (_end_of_lease(clock_ms, lease_s), node.node_id, node.epoch)
    return connection.execute(_SQL["renew"], row).rowcount > 0


def take_lead(connection: sqlite3.Connection, task: str, node: NodeLease, lease_s: float, clock_ms: int) -> bool:
    row = (task, node.node_id, _end_of_lease(clock_ms, lease_s), clock_ms)
    return connection.execute(_SQL["take_lead"], row).rowcount > 0


def retire(connection: sqlite3.Connection, node: NodeLease, clock_ms: int) -> list[str]:
    """Free what is leased under this epoch, and what its batches still owe; the endpoints that have free rows now."""
    freed = lanes.Freed()
    lease = (node.node_id, node.epoch)
    for _, endpoint_id, _, app_id, due_at_ms in connection.execute(_SQL["list_leased"], lease).fetchall():
        freed.add(endpoint_id, app_id, due_at_ms)
    connection.execute(_SQL["free_rows"], lease)
    connection.execute(_SQL["free_lanes"], lease)
    batches = [row[0] for row in connection.execute(_SQL["list_own_batches"], (*lease, clock_ms + 1))]
    adopt_batches(connection, node, batches, clock_ms, freed)
    freed.write(connection)
    connection.execute(_SQL["delete_node"], lease)
    return freed.endpoint_ids


def list_own_batches(connection: sqlite3.Connection, node: NodeLease, older_than_ms: int) -> list[str]:
    return [row[0] for row in connection.execute(_SQL["list_own_batches"], (node.node_id, node.epoch, older_than_ms))]


def adopt_batches(
    connection: sqlite3.Connection, node: NodeLease, batch_ids: Sequence[str], now_ms: int, freed: lanes.Freed
) -> int:
    """Turn what our own batches owe into free rows; how many rows."""
    owed = 0
    for batch_id in batch_ids:
        row = connection.execute(_SQL["find_own_batch"], (batch_id, node.node_id, node.epoch)).fetchone()
        if row is not None:
            owed += owe_batch(connection, row[0], row[1], now_ms, 0, freed)
    return owed


def owe_batch(
    connection: sqlite3.Connection, batch_id: str, members: str, now_ms: int, rescues: int, freed: lanes.Freed
) -> int:
    """Give each delivery of a batch that has neither an end nor a row a free row, and remove the batch."""
    values = {
        "members": orjson.dumps(records.members_from_text(members)).decode(),
        "rescues": rescues,
        "now_ms": now_ms,
    }
    owed = connection.execute(_SQL["owe_members"], values).fetchall()
    for endpoint_id, app_id in owed:
        freed.add(endpoint_id, app_id, now_ms)
    connection.execute(_SQL["delete_batch"], (batch_id,))
    return len(owed)


def resolve_batch(connection: sqlite3.Connection, batch_id: str, clock_ms: int) -> bool:
    """Whether the batch is there; if not, take its id so that it never will be."""
    if connection.execute(_SQL["put_tombstone"], (batch_id, clock_ms)).rowcount:
        return False
    (owner,) = connection.execute(_SQL["find_batch_owner"], (batch_id,)).fetchone()
    return bool(owner)


def _end_of_lease(clock_ms: int, lease_s: float) -> int:
    return clock_ms + round(lease_s * 1000)
