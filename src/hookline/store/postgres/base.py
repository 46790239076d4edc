"""What the parts of the PostgreSQL store share: its pools, the key ring, and the clock for making partitions."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import asyncpg

from hookline.clock import Clock
from hookline.store.changes import NodeLease
from hookline.store.errors import FencedError
from hookline.store.postgres.connections import INDEX_ONLY, Address, Connection, Pool, Server
from hookline.store.queries import load_queries
from hookline.store.sealing import KeyRing

CHANNEL: Final = "hookline"
LONGEST_NOTIFICATION: Final = 7_900  # PostgreSQL takes less than 8,000 bytes

_NODES = load_queries("postgres", "nodes")


class PostgresBase:
    """Pools, one for each kind of work: nothing that may take long shares a connection with what must be quick."""

    committers: int = 2

    def __init__(self, address: Address, key_ring: KeyRing, clock: Clock, *, readers: int) -> None:
        self._address = address
        self._key_ring = key_ring
        self._clock = clock
        self._server = Server(address)
        self._commits = Pool(
            self._server,
            self.committers,
            statement_timeout_s=15,
            lock_timeout_s=5,
            # Failure policy: closed. Whatever the server's default is, «accepted» means on disk.
            settings={**INDEX_ONLY, "synchronous_commit": "on"},
        )
        self._claims = Pool(self._server, 1, statement_timeout_s=15, lock_timeout_s=2, settings=INDEX_ONLY)
        self._upkeep = Pool(self._server, 1, statement_timeout_s=60, lock_timeout_s=5, settings=INDEX_ONLY)
        self._leases = Pool(self._server, 1, statement_timeout_s=5, lock_timeout_s=5)
        # Nothing that it writes is worth waiting for a disk.
        self._rates = Pool(
            self._server,
            1,
            statement_timeout_s=5,
            lock_timeout_s=2,
            settings={**INDEX_ONLY, "synchronous_commit": "off"},
        )
        self._reads = Pool(
            self._server,
            readers,
            statement_timeout_s=20,
            lock_timeout_s=5,
            settings=INDEX_ONLY,
        )
        # Background tasks and alert rules read thousands of rows at a time; none of the others should wait for that.
        self._tasks = Pool(self._server, 2, statement_timeout_s=30, lock_timeout_s=5, settings=INDEX_ONLY)

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return (self._commits, self._claims, self._upkeep, self._leases, self._rates, self._reads, self._tasks)


async def hold_fence(connection: Connection, node: NodeLease) -> None:
    """Keep this node from being declared dead until the transaction ends.

    Raises:
        FencedError: it already was.
    """
    if await connection.fetchval(_NODES["hold_fence"], node.node_id, node.epoch) is None:
        raise fenced(node)


async def await_own_transactions(connection: Connection, node: NodeLease) -> None:
    """Return when no transaction that holds this node's fence is under way: also one whose connection is lost."""
    await connection.execute(_NODES["lock_node"], node.node_id)


async def copy_rows(
    connection: Connection, table: str, column_names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert many rows by COPY: the cheapest way there is."""
    try:
        await connection.copy_records_to_table(table, records=rows, columns=column_names)
    except asyncpg.InternalClientError:
        # The server went away between two statements. The driver leaves a future behind in this case, and the loss that
        # it will hold would be reported as an exception that nobody looked at.
        for held in gc.get_referents(cast("Any", connection)._protocol):  # noqa: SLF001
            if asyncio.isfuture(held):
                held.add_done_callback(_look_at)
        raise


def _look_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def fenced(node: NodeLease) -> FencedError:
    return FencedError(f"the lease of node {node.node_id} (epoch {node.epoch}) was taken away; register again")


def columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as columns, for `unnest`; also when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
