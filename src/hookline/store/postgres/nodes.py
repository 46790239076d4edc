"""Nodes: their leases, and what is taken over from those that died.

    live ──lease ended, somebody else rescues──> fenced (epoch raised, once no commit of its own is under way)
    fenced ──registers again──> live, with a higher epoch
    live ──retires──> gone, everything given back

A rescue goes in small steps, each a transaction: fence, batches, leases. Any of them may be repeated, or done by two
nodes at once: what one has locked the other skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from hookline import crashpoints
from hookline.model import AttemptStatus
from hookline.store import announcing
from hookline.store.changes import NodeLease, RescueReport
from hookline.store.postgres.announcing import announce
from hookline.store.postgres.base import PostgresBase, columns, hold_fence
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.endings import end_of, touch_lanes, write_ends
from hookline.store.postgres.failures import retry_contention
from hookline.store.queries import load_queries

_NODES = load_queries("postgres", "nodes")
_RESCUE = load_queries("postgres", "rescue")


class Nodes(PostgresBase):
    """What Heartbeat and Rescuer ask."""

    async def register_node(self, node_id: str, lease_s: float) -> NodeLease:
        async with self._leases.transaction() as connection:
            # Waits for commits of an earlier life of this node: after this they are done, or never will be.
            await connection.execute(_NODES["lock_node"], node_id)
            epoch = await connection.fetchval(_NODES["register"], node_id, _ms(lease_s))
        return NodeLease(node_id, epoch)

    async def renew_lease(self, node: NodeLease, lease_s: float) -> bool:
        renewed = await self._leases.fetch_value(_NODES["renew"], node.node_id, node.epoch, _ms(lease_s))
        return renewed is not None

    async def take_lead(self, task: str, node: NodeLease, lease_s: float) -> bool:
        taken = await self._leases.fetch_value(_NODES["take_lead"], task, node.node_id, _ms(lease_s))
        return taken is not None

    async def retire_node(self, node: NodeLease) -> None:
        await retry_contention(lambda: self._retire_once(node))

    async def _retire_once(self, node: NodeLease) -> None:
        now_ms = self._clock.now_ms()
        async with self._upkeep.transaction() as connection:
            epoch = await connection.fetchval(_NODES["lock_node"], node.node_id)
            if epoch != node.epoch:
                return  # declared dead: whoever did that takes care of the rest
            batches = [row[0] for row in await connection.fetch(_RESCUE["list_node_batches"], node.node_id, node.epoch)]
            due: dict[str, tuple[str, int]] = {}
            await _turn_into_rows(connection, batches, 0, now_ms, due)
            for endpoint_id, app_id, due_at_ms in await connection.fetch(
                _RESCUE["retire_rows"], node.node_id, node.epoch
            ):
                due[endpoint_id] = (app_id, min(due_at_ms, due.get(endpoint_id, (app_id, due_at_ms))[1]))
            await connection.execute(_RESCUE["retire_lanes"], node.node_id, node.epoch)
            await touch_lanes(connection, due)
            await connection.execute(_NODES["remove_node"], node.node_id, node.epoch)

    async def own_batches(self, node: NodeLease, older_than_ms: int) -> list[str]:
        rows = await self._upkeep.fetch(_RESCUE["list_own_batches"], node.node_id, node.epoch, older_than_ms)
        return [row[0] for row in rows]

    async def adopt_batches(self, node: NodeLease, batch_ids: Sequence[str], now_ms: int) -> int:
        return await retry_contention(lambda: self._adopt_once(node, batch_ids, now_ms))

    async def _adopt_once(self, node: NodeLease, batch_ids: Sequence[str], now_ms: int) -> int:
        async with self._upkeep.transaction() as connection:
            await hold_fence(connection, node)
            rows = await connection.fetch(_RESCUE["lock_own_batches"], node.node_id, node.epoch, list(batch_ids))
            due: dict[str, tuple[str, int]] = {}
            deliveries = await _turn_into_rows(connection, [row[0] for row in rows], 0, now_ms, due)
            await touch_lanes(connection, due)
            return deliveries

    async def rescue(self, node: NodeLease, now_ms: int, limit: int, *, poison_after: int = 3) -> RescueReport:
        nodes = await retry_contention(lambda: self._fence_dead(node))
        batches, owed, more = await retry_contention(lambda: self._rescue_batches(node, now_ms, limit))
        room = max(0, limit - owed)
        freed, poisoned, more_rows = await retry_contention(lambda: self._rescue_rows(node, now_ms, room, poison_after))
        return RescueReport(nodes, batches, owed + freed, poisoned, more or more_rows)

    async def _fence_dead(self, node: NodeLease) -> int:
        async with self._upkeep.transaction() as connection:
            await hold_fence(connection, node)
            return len(await connection.fetch(_NODES["fence_dead"], node.node_id))

    async def _rescue_batches(self, node: NodeLease, now_ms: int, limit: int) -> tuple[int, int, bool]:
        """Batches until `limit` deliveries are owed, each as a whole: how many, what they owe, and whether more."""
        async with self._upkeep.transaction() as connection:
            await hold_fence(connection, node)
            found = [row[0] for row in await connection.fetch(_RESCUE["lock_orphaned_batches"], limit + 1)]
            due: dict[str, tuple[str, int]] = {}
            batches = owed = 0
            while batches < min(limit, len(found)) and owed < limit:
                owed += await _turn_into_rows(connection, [found[batches]], 1, now_ms, due)
                batches += 1
            await touch_lanes(connection, due)
            crashpoints.reach("during_rescue")
            return batches, owed, batches < len(found)

    async def _rescue_rows(self, node: NodeLease, now_ms: int, limit: int, poison_after: int) -> tuple[int, int, bool]:
        """Leased rows of the dead: how many were freed, how many ended as poison, and whether there are more."""
        async with self._upkeep.transaction() as connection:
            await hold_fence(connection, node)
            found: list[asyncpg.Record] = []
            for holder, epoch in await connection.fetch(_RESCUE["list_dead_holders"]):
                if len(found) <= limit:
                    found += await connection.fetch(_RESCUE["lock_leased"], holder, epoch, limit + 1 - len(found))
            rows = found[:limit]
            poison = [row for row in rows if row["rescues"] + 1 > poison_after]
            freed = [row for row in rows if row["rescues"] + 1 <= poison_after]
            # Failure policy: closed. What kills every node that sends it must not kill the next one.
            detail = "Given up: each node that took this delivery died before it could record an attempt."
            ends = [end_of(row, AttemptStatus.FAILED, "poison", detail, now_ms) for row in poison]
            await write_ends(connection, poison, ends)
            keys: list[tuple[Any, ...]] = sorted((row["message_id"], row["endpoint_id"], row["kind"]) for row in freed)
            if keys:
                await connection.execute(_RESCUE["free_rows"], *columns(keys, 3), now_ms)
            due = {row["endpoint_id"]: (row["app_id"], now_ms) for row in freed}
            # The head of a sequence, or of a key, that ended lets the next one have its turn.
            heads = [row for row in poison if row["sequence"] is not None or row["order_key"] is not None]
            due.update({row["endpoint_id"]: (row["app_id"], now_ms) for row in heads})
            await touch_lanes(connection, due)
            await announce(connection, announcing.of_ends(ends))
            crashpoints.reach("during_rescue")
            return len(freed), len(poison), len(found) > limit


async def _turn_into_rows(
    connection: Connection, batch_ids: list[str], rescues: int, now_ms: int, due: dict[str, tuple[str, int]]
) -> int:
    """What locked batches owe becomes free rows; the batches go. `due` collects the lanes to touch."""
    if not batch_ids:
        return 0
    deliveries = 0
    for endpoint_id, app_id, count in await connection.fetch(_RESCUE["owe_batches"], batch_ids, rescues, now_ms):
        due[endpoint_id] = (app_id, now_ms)
        deliveries += count
    await connection.execute(_RESCUE["delete_batches"], batch_ids)
    return deliveries


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
