"""One commit under way: its statements, each for some steps of `Store.commit`, and what the later ones need to know.

Whatever a commit does not contain costs no statement. Locks are taken in the order that `commit.sql` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec

from hookline.model import Kind
from hookline.store import announcing, keys
from hookline.store.announcing import Announcement
from hookline.store.changes import Commit, CommitResult, Duplicate, NewMessage, Outcome
from hookline.store.errors import StaleRoutingError, StoreError
from hookline.store.healing import HealthChanges
from hookline.store.postgres import health
from hookline.store.postgres.announcing import announce
from hookline.store.postgres.base import LONGEST_NOTIFICATION, columns, copy_rows, fenced
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.outcomes import plan_pending
from hookline.store.queries import load_queries
from hookline.store.records import members_to_text

_SQL = load_queries("postgres", "commit")

ORDERED_COLUMNS: Final = (
    "message_id",
    "endpoint_id",
    "kind",
    "app_id",
    "attempts",
    "rescues",
    "due_at_ms",
    "sequence",
)


class Work:
    """One commit under way. The steps are called in the order in which they stand here."""

    def __init__(self, connection: Connection, change: Commit) -> None:
        self.connection = connection
        self.change = change
        self.result = CommitResult()
        self.fanouts: list[str] = []
        #: keys and outbox rows decide which messages are kept, so the batch must wait for them
        self._is_contested = any(new.keys or new.outbox_id is not None for new in change.messages)
        self._has_ordered = any(new.ordered for new in change.messages)
        self._due: dict[str, tuple[str, int]] = {}  # endpoint -> application, when something can be taken
        self._rerouted: set[str] = set()
        self._news: set[str] = set()
        self._troubled: list[Outcome] = []
        self._disabled: list[asyncpg.Record] = []

    async def begin(self) -> None:
        """Steps 0, 1 and 10; and the batch row, when it is already known what it holds."""
        change = self.change
        if change.batch_id is None and _members(change.messages):
            # Failure policy: closed. Messages that nothing names as owed would be lost by a crash.
            raise StoreError("messages with targets need a batch; give Commit.batch_id", code="batch_missing")
        members = None if self._is_contested else _members(change.messages)
        row = await self.connection.fetchrow(
            _SQL["begin_commit"],
            change.node.node_id,
            change.node.epoch,
            list(change.routing),
            list(change.routing.values()),
            change.settled_batches,
            change.batch_id if members else None,
            members or "",
            change.now_ms,
        )
        assert row is not None
        if not row["held"]:
            raise fenced(change.node)
        if row["stale"]:
            raise StaleRoutingError(frozenset(row["stale"]))

    async def settle_keys(self) -> None:
        """Steps 2 and 3: which messages are kept."""
        if not self._is_contested:
            return
        taken = await self._take_outbox()
        messages = self.change.messages
        wanted: dict[keys.KeyName, tuple[Any, ...]] = {}
        for index, new in enumerate(messages):
            if index not in taken:
                for name, key in zip(keys.names_of(new), new.keys, strict=True):
                    wanted.setdefault(name, (*name, new.message.id, key.fingerprint, key.expires_at_ms))
        duplicates: dict[int, Duplicate] = {}
        if wanted:
            duplicates = await self._claim_keys(wanted, taken)
        self.result = CommitResult(duplicates, taken)

    async def _take_outbox(self) -> frozenset[int]:
        wanted = {new.outbox_id: index for index, new in enumerate(self.change.messages) if new.outbox_id is not None}
        if not wanted:
            return frozenset()
        rows = await self.connection.fetch(_SQL["take_outbox"], sorted(wanted))
        gone = {row[0] for row in rows}
        return frozenset(index for outbox_id, index in wanted.items() if outbox_id not in gone)

    async def _claim_keys(
        self, wanted: dict[keys.KeyName, tuple[Any, ...]], taken: frozenset[int]
    ) -> dict[int, Duplicate]:
        claims = [wanted[name] for name in sorted(wanted)]
        won = await self.connection.fetch(_SQL["claim_keys"], *columns(claims, 6), self.change.now_ms)
        ours = {(row[0], row[1], row[2]) for row in won}
        lost = sorted(name for name in wanted if name not in ours)
        holders: dict[keys.KeyName, keys.Holder] = {}
        if lost:
            for row in await self.connection.fetch(_SQL["read_keys"], *columns(list(lost), 3)):
                holders[row[0], row[1], row[2]] = keys.Holder(row[3], row[4])
        verdict = keys.settle(self.change.messages, holders, taken)
        kept = {row[:3]: row for row in verdict.kept}
        moved = [row for name, row in kept.items() if name in ours and row[3] != wanted[name][3]]
        if moved:
            await self.connection.execute(_SQL["reassign_keys"], *columns(list(moved), 6))
        unused = sorted(ours - kept.keys())
        if unused:
            await self.connection.execute(_SQL["drop_keys"], *columns(list(unused), 3))
        return dict(verdict.duplicates)

    def kept_messages(self) -> Sequence[NewMessage]:
        if not self._is_contested:
            return self.change.messages
        result = self.result
        return [
            new
            for index, new in enumerate(self.change.messages)
            if index not in result.duplicates and index not in result.taken
        ]

    async def insert_late_batch(self, kept: Sequence[NewMessage]) -> None:
        """The batch row, when `begin` could not know what it holds."""
        members = _members(kept) if self._is_contested else None
        if members and self.change.batch_id is not None:
            node = self.change.node
            await self.connection.execute(
                _SQL["insert_batch"], self.change.batch_id, node.node_id, node.epoch, members, self.change.now_ms
            )

    async def disable_endpoints(self) -> None:
        """The first half of step 9: endpoints are locked before `pending` and lanes."""
        disables = self.change.disables
        if not disables:
            return
        chosen = {
            one.endpoint_id: (one.app_id, one.endpoint_id, one.reason, one.detail, one.failing_since_ms)
            for one in disables
        }
        self._disabled = await self.connection.fetch(
            _SQL["disable_endpoints"], *columns(list(chosen.values()), 5), self.change.now_ms
        )
        self._rerouted.update(row["app_id"] for row in self._disabled)
        disabled = frozenset(row["id"] for row in self._disabled)
        self.result = msgspec.structs.replace(self.result, disabled=disabled)

    async def change_pending(self, outcomes: Sequence[Outcome]) -> None:
        """Steps 6 and 7, but for the attempts."""
        delayed = [new.message for new in self.kept_messages() if new.message.deliver_at_ms is not None]
        rows, self._troubled = plan_pending(self.change, outcomes, delayed)
        if not rows:
            return
        node = self.change.node
        touched = await self.connection.fetch(
            _SQL["change_pending"], node.node_id, node.epoch, *columns(list(rows), 7), self.change.now_ms
        )
        for endpoint_id, app_id, due_at_ms in touched:
            self._due[endpoint_id] = (app_id, due_at_ms)

    async def touch_lanes(self) -> None:
        """Steps 5 and 8: due times, sequence numbers and health, under the lanes' locks."""
        ordered = self._ordered_targets() if self._has_ordered else {}
        lanes = self.change.lanes
        if not self._due and not ordered and not lanes:
            return
        now_ms = self.change.now_ms
        rows: dict[str, tuple[str, str, int | None, int]] = {}
        for lane in lanes:
            rows[lane.endpoint_id] = (lane.endpoint_id, lane.app_id, None, 0)
        for endpoint_id, (app_id, due_at_ms) in self._due.items():
            rows[endpoint_id] = (endpoint_id, app_id, due_at_ms, 0)
        for endpoint_id, news in ordered.items():
            due = self._due[endpoint_id][1] if endpoint_id in self._due else None
            if endpoint_id not in news[0].order_keys:  # the first of a key makes its lane due when it is known
                due = now_ms if due is None else min(now_ms, due)
            rows[endpoint_id] = (endpoint_id, news[0].message.app_id, due, len(news))
        node = self.change.node
        touched = await self.connection.fetch(
            _SQL["touch_lanes"], *columns([rows[key] for key in sorted(rows)], 4), node.node_id, node.epoch
        )
        if ordered:
            await self._insert_ordered(ordered, {row[0]: row[1] for row in touched})
            self._news.update(f"lane/{row[0]}" for row in touched if row[0] in ordered and not row[2])
        if lanes:
            await self._set_health()

    def _ordered_targets(self) -> dict[str, list[NewMessage]]:
        ordered: dict[str, list[NewMessage]] = {}
        for new in self.kept_messages():
            for endpoint_id in new.ordered:
                ordered.setdefault(endpoint_id, []).append(new)
        return ordered

    async def _insert_ordered(self, ordered: dict[str, list[NewMessage]], counters: dict[str, int]) -> None:
        now_ms = self.change.now_ms
        records: list[tuple[Any, ...]] = []
        keyed: list[tuple[Any, ...]] = []
        for endpoint_id, news in ordered.items():
            for sequence, new in enumerate(news, counters[endpoint_id] - len(news)):
                key = new.order_keys.get(endpoint_id)
                if key is None:
                    kind = Kind.SCHEDULED.value
                    records.append((new.message.id, endpoint_id, kind, new.message.app_id, 0, 0, now_ms, sequence))
                else:
                    keyed.append((new.message.id, endpoint_id, new.message.app_id, sequence, key))
        if records:
            await copy_rows(self.connection, "hookline_pending", ORDERED_COLUMNS, records)
        if keyed:
            await self.connection.execute(_SQL["insert_keyed"], *columns(keyed, 5), now_ms)

    async def _set_health(self) -> None:
        rows = [
            (one.endpoint_id, one.state, one.open_until_ms, one.failures, one.failing_since_ms)
            for one in self.change.lanes
        ]
        await self.connection.execute(_SQL["set_health"], *columns(list(rows), 5))
        self._news.update(f"lane/{one.endpoint_id}" for one in self.change.lanes)

    async def note_health(self) -> None:
        """Step 11, and the operational webhooks of step 12."""
        if not self._troubled and not self._disabled:
            return
        await health.note(self.connection, HealthChanges(self._troubled))
        news = announcing.of_outcomes(self._troubled)
        if self._disabled:
            news += await self._note_disabled()
        await announce(self.connection, news)

    async def _note_disabled(self) -> list[Announcement]:
        now_ms = self.change.now_ms
        rows = [(row["id"], row["app_id"], now_ms, row["reason"], row["detail"]) for row in self._disabled]
        failing = await health.note_disabled(self.connection, rows)
        return [
            announcing.of_disabled(
                row["app_id"],
                row["id"],
                row["uid"],
                row["updated_at_ms"],
                row["reason"],
                failing_since_ms=failing[row["id"]],
                detail=row["detail"],
            )
            for row in self._disabled
        ]

    async def bump_routing(self) -> None:
        """The second half of step 9, last because everybody who changes routing waits for the clock's row."""
        if self._rerouted:
            rows = await self.connection.fetch(_SQL["bump_routing"], sorted(self._rerouted))
            self._news.update(f"routing/{row[0]}" for row in rows)

    async def notify(self) -> None:
        """At most once: a NOTIFY costs every commit of the server a lock."""
        if self._news:
            await self.connection.execute(_SQL["notify"], notification(self._news))


def notification(news: set[str]) -> str:
    """`routing/app_1 lane/ep_2`, or `resync` when that is too long for one notification."""
    text = " ".join(sorted(news))
    return text if len(text) <= LONGEST_NOTIFICATION else "resync"


def _members(messages: Sequence[NewMessage]) -> str | None:
    """Who is in the batch: messages with a delivery that is born leased."""
    members = [new.message for new in messages if new.born_leased]
    return members_to_text(members) if members else None
