"""`commit`: everything that a busy node writes, in the order that the protocol gives.

Rows are built in comprehensions and written with `executemany`: at thousands of messages a second each Python call per
row is felt. The happy path of a message and its success is one row each, nothing looked up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec
import orjson

from hookline.model import Kind, Message
from hookline.store import announcing, keys, records
from hookline.store.announcing import Announcement
from hookline.store.changes import WAITING_MS, Commit, CommitResult, DeliveryKey, Disable, Duplicate, NewMessage
from hookline.store.errors import ConflictError, FencedError, StaleRoutingError, StoreError
from hookline.store.healing import HealthChanges
from hookline.store.queries import load_queries
from hookline.store.sqlite import health, lanes, operations, recording, routing

_SQL = load_queries("sqlite", "commit")
_FIND_NODE = _SQL["find_node"]
_INSERT_MESSAGE = _SQL["insert_message"]
_NOTHING = CommitResult()


def commit(connection: sqlite3.Connection, change: Commit, announcements: list[tuple[str, str]]) -> CommitResult:
    """Do all of it; what others should be told after COMMIT is added to `announcements`.

    Raises:
        FencedError, StaleRoutingError, ConflictError: undo the transaction.
    """
    require_node(connection, change.node.node_id, change.node.epoch)
    if change.routing:
        _require_routing(connection, change)
    freed = lanes.Freed()
    result = _write_messages(connection, change, freed, announcements) if change.messages else _NOTHING
    news: list[Announcement] = []
    if change.outcomes:
        troubled = recording.write_outcomes(connection, change, freed)
        if troubled:
            health.note(connection, HealthChanges(troubled))
            news += announcing.of_outcomes(troubled)
    if change.spills:
        _write_spills(connection, change, freed)
    if change.releases:
        _write_releases(connection, change, change.releases)
    freed.write(connection)
    if change.lanes:
        connection.executemany(
            _SQL["set_lane_health"],
            [(h.endpoint_id, h.app_id, h.state, h.open_until_ms, h.failures, h.failing_since_ms) for h in change.lanes],
        )
        announcements.extend([("lane", health.endpoint_id) for health in change.lanes])
    for disable in change.disables:
        told = _disable(connection, change, disable, announcements)
        if told:
            news += told
            result = msgspec.structs.replace(result, disabled=result.disabled | {disable.endpoint_id})
    if change.settled_batches:
        connection.executemany(_SQL["delete_batch"], [(batch_id,) for batch_id in change.settled_batches])
    if news and operations.announce(connection, news):
        announcements.append(("outbox", ""))
    return result


def require_node(connection: sqlite3.Connection, node_id: str, epoch: int) -> None:
    """Raise FencedError unless the node has this epoch."""
    if connection.execute(_FIND_NODE, (node_id, epoch)).fetchone() is None:
        raise FencedError("this node was declared dead and others took over; register again, then record as late")


def _require_routing(connection: sqlite3.Connection, change: Commit) -> None:
    find = _SQL["find_routing_version"]
    stale = [
        app_id
        for app_id, version in change.routing.items()
        if connection.execute(find, (app_id,)).fetchone() != (version,)
    ]
    if stale:
        raise StaleRoutingError(frozenset(stale))


def _write_messages(
    connection: sqlite3.Connection, change: Commit, freed: lanes.Freed, announcements: list[tuple[str, str]]
) -> CommitResult:
    news = change.messages
    taken = _take_outbox(connection, news)
    duplicates = _take_keys(connection, change, taken)
    kept = news
    if taken or duplicates:
        kept = [new for index, new in enumerate(news) if index not in taken and index not in duplicates]
    if not kept:
        return CommitResult(duplicates, taken)
    _insert_messages(connection, [new.message for new in kept], change.now_ms)
    owed = [new.message for new in kept if new.born_leased]
    if owed:
        _insert_batch(connection, change, owed)
    ordered = [new for new in kept if new.ordered]
    if ordered:
        announcements.extend(_write_ordered(connection, ordered, change.now_ms))
    delayed = [new.message for new in kept if new.message.deliver_at_ms is not None]
    if delayed:
        _write_delayed(connection, delayed, freed)
    return CommitResult(duplicates, taken) if taken or duplicates else _NOTHING


def _take_outbox(connection: sqlite3.Connection, news: Sequence[NewMessage]) -> frozenset[int]:
    """Delete the outbox rows of these messages; the indexes of messages whose row was gone."""
    wanted = [(index, new.outbox_id) for index, new in enumerate(news) if new.outbox_id is not None]
    if not wanted:
        return frozenset()
    ids = orjson.dumps([outbox_id for _, outbox_id in wanted]).decode()
    present = {row[0] for row in connection.execute(_SQL["find_outbox_rows"], (ids,))}
    connection.executemany(_SQL["delete_outbox_row"], [(outbox_id,) for outbox_id in present])
    taken: set[int] = set()
    for index, outbox_id in wanted:
        if outbox_id in present:
            present.discard(outbox_id)  # a second message of the same row is too late
        else:
            taken.add(index)
    return frozenset(taken)


def _take_keys(connection: sqlite3.Connection, change: Commit, taken: frozenset[int]) -> dict[int, Duplicate]:
    """Write the keys of those messages that get theirs; why the others are duplicates."""
    names = {name for index, new in enumerate(change.messages) if index not in taken for name in keys.names_of(new)}
    if not names:
        return {}
    holders: dict[keys.KeyName, keys.Holder] = {}
    for name in names:
        row = connection.execute(_SQL["find_key"], (*name, change.now_ms)).fetchone()
        if row is not None:
            holders[name] = keys.Holder(*row)
    verdict = keys.settle(change.messages, holders, taken)
    # Nobody else can write between the look-up and this, so an expired holder is simply replaced.
    connection.executemany(_SQL["put_key"], verdict.kept)
    return dict(verdict.duplicates)


def _insert_messages(connection: sqlite3.Connection, messages: Iterable[Message], now_ms: int) -> None:
    fanouts: dict[str, tuple[str, str, str, int]] = {}

    def targets_of(message: Message) -> str:
        text, digest = records.targets_to_text(message.targets)
        if digest is not None and digest not in fanouts:
            fanouts[digest] = (digest, message.app_id, ",".join(message.targets), now_ms)
        return text

    inline = records.INLINE_TARGETS
    connection.executemany(
        _INSERT_MESSAGE,
        [
            (
                m.app_id,
                m.id,
                m.org_id,
                m.event_type,
                m.event_id or "",
                ",".join(m.channels) if m.channels else "",
                m.payload,
                ",".join(m.targets) if len(m.targets) <= inline else targets_of(m),
                m.note or "",
                m.created_at_ms,
                m.payload_expires_at_ms or 0,
                ",".join(m.tags) if m.tags else "",
                m.deliver_at_ms or 0,
            )
            for m in messages
        ],
    )
    if fanouts:
        connection.executemany(_SQL["put_fanout"], list(fanouts.values()))


def _insert_batch(connection: sqlite3.Connection, change: Commit, owed: Sequence[Message]) -> None:
    if change.batch_id is None:
        raise StoreError("messages with targets need a batch; give Commit.batch_id", code="batch_missing")
    row = (change.batch_id, change.node.node_id, change.node.epoch, records.members_to_text(owed), change.now_ms)
    try:
        connection.execute(_SQL["insert_batch"], row)
    except sqlite3.IntegrityError as error:
        # Failure policy: closed. Somebody has already been told that this batch will never happen.
        raise ConflictError("this batch was given up; commit its messages under a new batch id") from error


def _write_ordered(connection: sqlite3.Connection, news: Iterable[NewMessage], now_ms: int) -> list[tuple[str, str]]:
    """Number the deliveries to ordered endpoints, in the order of the messages."""
    by_endpoint: dict[str, list[NewMessage]] = {}
    for new in news:
        for endpoint_id in new.ordered:
            by_endpoint.setdefault(endpoint_id, []).append(new)
    keyed: list[str] = []
    for endpoint_id, messages in by_endpoint.items():
        has_keys = endpoint_id in messages[0].order_keys  # all were selected with the same version of the endpoint
        due_at_ms = WAITING_MS if has_keys else now_ms
        wanted = (endpoint_id, messages[0].message.app_id, due_at_ms, len(messages))
        (first,) = connection.execute(_SQL["reserve_sequences"], wanted).fetchone()
        rows = [
            (new.message.id, endpoint_id, new.message.app_id, now_ms, number)
            for number, new in enumerate(messages, first)
        ]
        if has_keys:
            keyed.append(endpoint_id)
            keys = [new.order_keys[endpoint_id] for new in messages]
            connection.executemany(_SQL["insert_in_key"], [(*row, key) for row, key in zip(rows, keys, strict=True)])
        else:
            connection.executemany(_SQL["insert_in_sequence"], rows)
    lanes.recompute(connection, keyed)
    return [("lane", endpoint_id) for endpoint_id in by_endpoint]


def _write_delayed(connection: sqlite3.Connection, messages: Iterable[Message], freed: lanes.Freed) -> None:
    """Put the deliveries of messages for later where they wait."""
    rows = []
    for m in messages:
        assert m.deliver_at_ms is not None
        for endpoint_id in m.targets:
            rows.append((m.id, endpoint_id, _text(Kind.SCHEDULED), m.app_id, m.deliver_at_ms, "", 0))
            freed.add(endpoint_id, m.app_id, m.deliver_at_ms)
    connection.executemany(_SQL["insert_spill"], rows)


def _write_spills(connection: sqlite3.Connection, change: Commit, freed: lanes.Freed) -> None:
    node_id, epoch = change.node.node_id, change.node.epoch
    rows = []
    for spill in change.spills:
        key = spill.key
        lease = (node_id, epoch) if spill.leased else ("", 0)
        rows.append((key.message_id, key.endpoint_id, _text(key.kind), spill.app_id, spill.due_at_ms, *lease))
        if not spill.leased:
            freed.add(key.endpoint_id, spill.app_id, spill.due_at_ms)
    connection.executemany(_SQL["insert_spill"], rows)


def _write_releases(connection: sqlite3.Connection, change: Commit, releases: Sequence[DeliveryKey]) -> None:
    lease = (change.node.node_id, change.node.epoch)
    rows = [(key.message_id, key.endpoint_id, _text(key.kind)) for key in releases]
    connection.executemany(_SQL["release_row"], [(*row, *lease) for row in rows])
    connection.executemany(_SQL["advance_lane_to_row"], rows)


def _disable(
    connection: sqlite3.Connection, change: Commit, disable: Disable, announcements: list[tuple[str, str]]
) -> list[Announcement]:
    row = (disable.reason, change.now_ms, disable.endpoint_id, disable.app_id, disable.failing_since_ms)
    found = connection.execute(_SQL["disable_endpoint"], row).fetchone()
    if found is None:
        return []
    routing.advance(connection, disable.app_id)
    announcements.append(("routing", disable.app_id))
    uid, updated_at_ms = found
    owner = (disable.app_id, disable.endpoint_id)
    since_ms = health.note_disabled(connection, *owner, change.now_ms, disable.reason, disable.detail)
    reason, detail = disable.reason, disable.detail
    return [announcing.of_disabled(*owner, uid, updated_at_ms, reason, failing_since_ms=since_ms, detail=detail)]


def _text(kind: Kind) -> str:
    return kind._value_  # an exact str: SQLite's module looks long at subclasses before it takes them
