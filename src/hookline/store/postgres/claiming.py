"""Claims: due rows of `pending` leased to this node, lane by lane, while other nodes do the same.

lanes locked (those that somebody else has are left for the next time) -> rows leased -> messages read
    -> the lanes' next due times computed anew, under their locks -> COMMIT
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import asyncpg

from hookline.model import Kind
from hookline.store.changes import Claimed, DueLane, LaneHealth, NodeLease, Want, count_claimable
from hookline.store.postgres.base import PostgresBase, await_own_transactions, columns, hold_fence
from hookline.store.postgres.connections import Connection
from hookline.store.queries import load_queries
from hookline.store.records import message_from_row

_SQL = load_queries("postgres", "claims")
_KINDS: Final = {kind.value: kind for kind in Kind}

_Key = tuple[str, str, str]


class Claiming(PostgresBase):
    """What Claimer and Prober ask."""

    #: lanes that were locked by others when they were last wanted: next time we wait for them, or a busy lane starves
    _skipped: set[str]
    #: rows leased by claims whose answer was lost: they are freed before anything else is claimed
    _unsure_claims: dict[_Key, NodeLease]

    async def due_lanes(self, node: NodeLease, now_ms: int, limit: int) -> list[DueLane]:
        rows = await self._claims.fetch(_SQL["list_due"], now_ms, node.node_id, limit)
        return [
            DueLane(
                endpoint_id, app_id, org_id, ordered, next_due_at_ms, LaneHealth(endpoint_id, app_id, *health), keyed
            )
            for endpoint_id, app_id, org_id, ordered, next_due_at_ms, keyed, *health in rows
        ]

    async def next_due_at(self, now_ms: int) -> int | None:  # noqa: ARG002  (due times do not depend on it here)
        due_at_ms: int | None = await self._claims.fetch_value(_SQL["find_next_due"])
        return due_at_ms

    async def claim(self, node: NodeLease, wants: Sequence[Want], now_ms: int) -> list[Claimed]:
        wanted = {want.endpoint_id: want for want in wants if want.room > 0}
        if not wanted and not self._unsure_claims:
            return []
        leased: list[asyncpg.Record] = []
        try:
            async with self._claims.transaction() as connection:
                if self._unsure_claims:
                    await await_own_transactions(connection, node)
                await hold_fence(connection, node)
                freed = await self._free_unsure(connection)
                claimed = await self._claim(connection, node, wanted, freed, now_ms, leased)
        except BaseException:
            # Failure policy: closed. If COMMIT did happen, these rows are ours and nobody knows; free them next time.
            self._unsure_claims.update({(row[0], row[1], row[2]): node for row in leased})
            raise
        self._unsure_claims.clear()
        return claimed

    async def _claim(
        self,
        connection: Connection,
        node: NodeLease,
        wanted: dict[str, Want],
        freed: set[str],
        now_ms: int,
        leased: list[asyncpg.Record],
    ) -> list[Claimed]:
        found = await self._lock_lanes(connection, wanted, freed)
        locked = [name for name, _ in found]
        by_key = [name for name, lost_one in found if lost_one or (name in wanted and wanted[name].keyed)]
        if by_key:
            await connection.execute(_SQL["promote_keys"], by_key)
        lanes = [wanted[endpoint_id] for endpoint_id in locked if endpoint_id in wanted]
        lanes = await self._leave_leased(connection, node, lanes)
        rows: list[asyncpg.Record] = []
        if lanes:
            rows = await self._leave_suspects(connection, node, await self._lease_rows(connection, node, lanes, now_ms))
            leased.extend(rows)
        claimed = await self._load(connection, rows)
        if locked:
            await connection.execute(_SQL["recompute_lanes"], locked)
        ordered = sorted({row["endpoint_id"] for row in rows if wanted[row["endpoint_id"]].ordered})
        if ordered:
            await connection.execute(_SQL["lease_lanes"], ordered, node.node_id, node.epoch)
        return claimed

    async def _lock_lanes(
        self, connection: Connection, wanted: dict[str, Want], freed: set[str]
    ) -> list[tuple[str, bool]]:
        """Lock lanes, in order; with each, whether keys of it lost a delivery.

        We wait only for the first ones, holding nothing that others wait for us with.
        """
        first = sorted((self._skipped & wanted.keys()) | freed)
        awaited = [(row[0], row[1]) for row in await connection.fetch(_SQL["await_lanes"], first)] if first else []
        rest = sorted(wanted.keys() - set(first))
        locked = [(row[0], row[1]) for row in await connection.fetch(_SQL["lock_lanes"], rest)] if rest else []
        self._skipped = set(rest) - {name for name, _ in locked}
        return awaited + locked

    async def _leave_leased(self, connection: Connection, node: NodeLease, lanes: list[Want]) -> list[Want]:
        """Without the ordered lanes that another live node has."""
        ordered = [want.endpoint_id for want in lanes if want.ordered]
        if not ordered:
            return lanes
        rows = await connection.fetch(_SQL["find_leased_elsewhere"], ordered, node.node_id)
        elsewhere = {row[0] for row in rows}
        return [want for want in lanes if want.endpoint_id not in elsewhere]

    async def _lease_rows(
        self, connection: Connection, node: NodeLease, lanes: list[Want], now_ms: int
    ) -> list[asyncpg.Record]:
        rows = await connection.fetch(_SQL["claim"], node.node_id, node.epoch, *_wants(lanes), now_ms)
        got: dict[str, int] = {}
        for row in rows:
            got[row["endpoint_id"]] = got.get(row["endpoint_id"], 0) + 1
        left = []
        for want in lanes:
            room = want.room - got.get(want.endpoint_id, 0)
            if room > 0:
                left.append(Want(want.endpoint_id, min(room, 1) if want.keyed else room, want.ordered or want.keyed))
        if left:
            rows += await connection.fetch(_SQL["claim_sequence"], node.node_id, node.epoch, *_wants(left), now_ms)
        # In each lane: what has no place in a sequence by due time, then the sequence.
        return sorted(rows, key=lambda row: (row["endpoint_id"], row["sequence"] or 0, row["due_at_ms"]))

    async def _leave_suspects(
        self, connection: Connection, node: NodeLease, rows: list[asyncpg.Record]
    ) -> list[asyncpg.Record]:
        """What of the rows may be claimed at once; the others are freed again, in the same transaction."""
        kept: list[asyncpg.Record] = []
        left: list[tuple[Any, ...]] = []
        for _, group in groupby(rows, key=lambda row: row["endpoint_id"]):
            lane = list(group)
            count = count_claimable([row["rescues"] for row in lane])
            kept += lane[:count]
            left += [(row["message_id"], row["endpoint_id"], row["kind"]) for row in lane[count:]]
        if left:
            await connection.execute(_SQL["free_unsure"], *columns(sorted(left), 3), node.node_id, node.epoch)
        return kept

    async def _load(self, connection: Connection, rows: list[asyncpg.Record]) -> list[Claimed]:
        if not rows:
            return []
        names = sorted({(row["app_id"], row["message_id"]) for row in rows})
        found = await connection.fetch(_SQL["load_messages"], *columns(list(names), 2))
        messages = {record[1]: message_from_row(tuple(record)) for record in found if not record["payload_expired"]}
        orphans = [(row[0], row[1], row[2]) for row in rows if row["message_id"] not in messages]
        if orphans:
            # Failure policy: a delivery whose message or payload is gone can never be made (for the latter, its end was
            # recorded when the payload went); its row would come back for ever.
            await connection.execute(_SQL["remove_orphans"], *columns(list(orphans), 3))
        return [
            Claimed(
                messages[row["message_id"]],
                row["endpoint_id"],
                _KINDS[row["kind"]],
                row["attempts"],
                row["rescues"],
                row["sequence"],
                row["due_at_ms"],
            )
            for row in rows
            if row["message_id"] in messages
        ]

    async def _free_unsure(self, connection: Connection) -> set[str]:
        """Free what lost claims leased; the lanes that have to be looked at for it."""
        unsure = self._unsure_claims
        for node in set(unsure.values()):
            keys: list[tuple[Any, ...]] = sorted(key for key, owner in unsure.items() if owner == node)
            await connection.execute(_SQL["free_unsure"], *columns(keys, 3), node.node_id, node.epoch)
        return {endpoint_id for _, endpoint_id, _ in unsure}

    async def release_lanes(self, node: NodeLease, endpoint_ids: Sequence[str]) -> None:
        if endpoint_ids:
            async with self._claims.query() as connection:
                await connection.execute(_SQL["release_lanes"], list(endpoint_ids), node.node_id, node.epoch)

    async def lane_health(self, endpoint_ids: Sequence[str]) -> list[LaneHealth]:
        rows = await self._claims.fetch(_SQL["find_health"], list(endpoint_ids))
        return [LaneHealth(*row) for row in rows]


def _wants(lanes: list[Want]) -> list[list[Any]]:
    return columns([(want.endpoint_id, want.room, want.ordered) for want in lanes], 3)
