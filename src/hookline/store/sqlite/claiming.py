"""Claims of long work: what is due of some kinds becomes a node's, under a new epoch. Tasks and jobs alike.

`queries` are those of the table: `list_due` finds ids, `claim` leases one and gives its row with the epoch behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from hookline.store.tasks import TaskLease


def has_due(
    connection: sqlite3.Connection, queries: Mapping[str, str], kinds: Collection[str], now_ms: int, clock_ms: int
) -> bool:
    """Whether `claim` would find something at this moment."""
    values = {"kinds": orjson.dumps(list(kinds)).decode(), "now_ms": now_ms, "clock_ms": clock_ms, "limit": 1}
    return connection.execute(queries["list_due"], values).fetchone() is not None


def claim(
    connection: sqlite3.Connection,
    queries: Mapping[str, str],
    node_id: str,
    kinds: Collection[str],
    until_ms: int,
    now_ms: int,
    clock_ms: int,
    limit: int,
) -> list[tuple[Sequence[Any], TaskLease]]:
    """Lease at most `limit`: the rows, each with the right to work on it."""
    values = {"kinds": orjson.dumps(list(kinds)).decode(), "now_ms": now_ms, "clock_ms": clock_ms, "limit": limit}
    claimed = []
    for (identifier,) in connection.execute(queries["list_due"], values).fetchall():
        *row, epoch = connection.execute(queries["claim"], (identifier, node_id, until_ms, now_ms)).fetchone()
        claimed.append((row, TaskLease(identifier, epoch)))
    return claimed
