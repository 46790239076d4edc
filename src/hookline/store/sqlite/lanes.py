"""Lanes: what is due where, claiming it, and the health that all nodes share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import orjson

from hookline.model import Kind
from hookline.store import records
from hookline.store.changes import Claimed, DueLane, LaneHealth, NodeLease, Want, count_claimable
from hookline.store.queries import load_queries

_SQL = load_queries("sqlite", "lanes")
_MESSAGE_COLUMNS = 14
_EXPIRED = 11  # `payload_expired` among them
_KINDS = {kind.value: kind for kind in Kind}


class Freed:
    """Collects which endpoints got free rows (and when they are due), and where rows moved; then tells the lanes."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[str, int]] = {}
        self._moved: set[str] = set()

    def add(self, endpoint_id: str, app_id: str, due_at_ms: int) -> None:
        known = self._due.get(endpoint_id)
        if known is None or due_at_ms < known[1]:
            self._due[endpoint_id] = (app_id, due_at_ms)

    def moved(self, endpoint_id: str) -> None:
        self._moved.add(endpoint_id)

    @property
    def endpoint_ids(self) -> list[str]:
        return list(self._due)

    def write(self, connection: sqlite3.Connection) -> None:
        if self._due:
            rows = [(endpoint_id, app_id, due) for endpoint_id, (app_id, due) in self._due.items()]
            connection.executemany(_SQL["advance"], rows)
        for endpoint_id in self._moved:
            # Of an ordered lane the next one becomes the head only now that its head has moved.
            if connection.execute(_SQL["find_sequenced"], (endpoint_id,)).fetchone():
                connection.execute(_SQL["recompute"], (endpoint_id,))


def recompute(connection: sqlite3.Connection, endpoint_ids: Iterable[str]) -> None:
    """Set next_due_at of these lanes to what their rows say."""
    connection.executemany(_SQL["recompute"], [(endpoint_id,) for endpoint_id in endpoint_ids])


def close(connection: sqlite3.Connection, endpoint_id: str, now_ms: int) -> None:
    """The endpoint came back: forget its failures, and look at its rows at once."""
    connection.execute(_SQL["close"], (endpoint_id, now_ms))


def list_due(connection: sqlite3.Connection, node: NodeLease, now_ms: int, clock_ms: int, limit: int) -> list[DueLane]:
    values = {"node_id": node.node_id, "now_ms": now_ms, "clock_ms": clock_ms, "limit": limit}
    return [
        DueLane(endpoint_id, app_id, org_id, bool(ordered), due, LaneHealth(endpoint_id, app_id, *health), bool(keyed))
        for endpoint_id, app_id, org_id, ordered, due, keyed, *health in connection.execute(_SQL["list_due"], values)
    ]


def find_next_due(connection: sqlite3.Connection) -> int | None:
    row: tuple[int | None] = connection.execute(_SQL["find_next_due"]).fetchone()
    return row[0]


def find_health(connection: sqlite3.Connection, endpoint_ids: Sequence[str]) -> list[LaneHealth]:
    """Of those lanes that have a row; the others never had trouble."""
    wanted = orjson.dumps(list(endpoint_ids)).decode()
    return [LaneHealth(*row) for row in connection.execute(_SQL["find_health"], (wanted,))]


def release(connection: sqlite3.Connection, node: NodeLease, endpoint_ids: Sequence[str]) -> None:
    rows = [(endpoint_id, node.node_id, node.epoch) for endpoint_id in endpoint_ids]
    connection.executemany(_SQL["release"], rows)


def claim(
    connection: sqlite3.Connection, node: NodeLease, wants: Sequence[Want], now_ms: int, clock_ms: int
) -> list[Claimed]:
    """Lease due rows. The caller has checked the fence."""
    found: list[Claimed] = []
    for want in wants:
        if want.room <= 0:
            continue
        if want.ordered or want.keyed:
            claimed = _claim_in_order(connection, node, want, now_ms, clock_ms)
        else:
            claimed = _claimable(connection, "select_by_due", (want.endpoint_id, now_ms, want.room))
        found += claimed[: count_claimable([one.rescues for one in claimed])]
    connection.executemany(
        _SQL["lease_row"],
        [(node.node_id, node.epoch, one.message.id, one.endpoint_id, one.kind._value_) for one in found],
    )
    recompute(connection, [want.endpoint_id for want in wants])
    return found


def _claim_in_order(
    connection: sqlite3.Connection, node: NodeLease, want: Want, now_ms: int, clock_ms: int
) -> list[Claimed]:
    if want.ordered:
        lease = {"node_id": node.node_id, "epoch": node.epoch, "endpoint_id": want.endpoint_id, "clock_ms": clock_ms}
        if not connection.execute(_SQL["lease"], lease).rowcount:
            return []
    found: list[Claimed] = []
    most = 1 if want.keyed else want.room  # a lane with keys sends side by side what it has
    for row in connection.execute(_SQL["select_by_sequence"], (want.endpoint_id, most)).fetchall():
        if _drop_orphan(connection, row):
            continue
        if row[-2] is not None or row[-3] > now_ms:
            break  # nothing overtakes the head
        found.append(_claimed(row))
    room = want.room - len(found)
    if room:
        found += _claimable(connection, "select_without_sequence", (want.endpoint_id, now_ms, room))
    return found


def _claimable(connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[Claimed]:
    rows = connection.execute(_SQL[query], values).fetchall()
    return [_claimed(row) for row in rows if not _drop_orphan(connection, row)]


def _drop_orphan(connection: sqlite3.Connection, row: Sequence[object]) -> bool:
    """Delete a row that can never be sent, because its message or payload is gone; whether it was one.

    Failure policy: for a payload, the delivery's end was recorded when it went; the row (of a request that was on its
    way then) would come back for ever.
    """
    message_id, endpoint_id, kind = row[-1], row[_MESSAGE_COLUMNS], row[_MESSAGE_COLUMNS + 1]
    if row[1] is not None and not row[_EXPIRED]:
        return False
    connection.execute(_SQL["delete_row"], (message_id, endpoint_id, kind))
    return True


def _claimed(row: Sequence[object]) -> Claimed:
    message = records.message_from_row(row[:_MESSAGE_COLUMNS])
    endpoint_id, kind, attempts, rescues, sequence, due_at_ms, *_ = row[_MESSAGE_COLUMNS:]
    return Claimed(message, endpoint_id, _KINDS[kind], attempts, rescues, sequence, due_at_ms)  # type: ignore[arg-type, index]
