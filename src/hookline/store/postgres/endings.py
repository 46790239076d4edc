"""Deliveries that end without a request: poison, deleted endpoints, expired payloads.

Each leaves a final attempt that says why, and its row in `pending` goes. The rows must be locked by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from hookline.model import MANUAL_NUMBER, Attempt, AttemptStatus, Kind
from hookline.model.ids import ATTEMPT, new_id
from hookline.store.postgres.base import columns, copy_rows
from hookline.store.postgres.committing import ATTEMPT_COLUMNS
from hookline.store.postgres.connections import Connection
from hookline.store.queries import load_queries
from hookline.store.records import attempt_to_row

_COMMIT = load_queries("postgres", "commit")
_RESCUE = load_queries("postgres", "rescue")

LaneTouch = tuple[str, str, int | None, int]


def end_of(row: asyncpg.Record, status: AttemptStatus, reason: str, detail: str, now_ms: int) -> Attempt:
    """The final attempt of a delivery for which none was made. `row` is one of `pending`."""
    kind = Kind(row["kind"])
    return Attempt(
        id=new_id(ATTEMPT),
        app_id=row["app_id"],
        message_id=row["message_id"],
        endpoint_id=row["endpoint_id"],
        kind=kind,
        number=MANUAL_NUMBER if kind is Kind.MANUAL else row["attempts"] + 1,
        url="",
        status=status,
        final=True,
        reason=reason,
        detail=detail,
        response_status=0,
        response_body=b"",
        duration_ms=0,
        created_at_ms=now_ms,
    )


async def write_ends(connection: Connection, rows: Sequence[asyncpg.Record], ends: Sequence[Attempt]) -> None:
    """Write final attempts and delete their rows."""
    if ends:
        rows_of_ends = [attempt_to_row(end) for end in ends]
        await copy_rows(connection, "hookline_attempts", ATTEMPT_COLUMNS, rows_of_ends)
    if rows:
        keys = [(row["message_id"], row["endpoint_id"], row["kind"]) for row in rows]
        await connection.execute(_RESCUE["delete_rows"], *columns(sorted(keys), 3))


async def touch_lanes(connection: Connection, due: dict[str, tuple[str, int]]) -> None:
    """Make lanes due: endpoint -> (application, when). The last locks that a transaction takes."""
    if due:
        rows: list[tuple[Any, ...]] = [(name, due[name][0], due[name][1], 0) for name in sorted(due)]
        await connection.fetch(_COMMIT["touch_lanes"], *columns(rows, 4), "", 0)
