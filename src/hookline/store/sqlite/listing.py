"""Lists of messages and attempts, and of messages at an endpoint with where their deliveries stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from hookline.model import Attempt, DeliveryState, Message
from hookline.model.ids import ATTEMPT, MESSAGE
from hookline.store import records
from hookline.store.protocol import EndpointMessage, MessageFilter, Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.sqlite.paging import fetch_page, find_end, walk_through
from hookline.store.views import EndRow, PendingRow, Standing
from hookline.store.walking import Row, Walk, cut, needs_window

_SQL = load_queries("sqlite", "lists")


def list_messages(
    connection: sqlite3.Connection, scope: AppScope, page: Page, where: MessageFilter, *, with_content: bool
) -> Slice[Message]:
    values = _bind(scope, where, with_content=with_content)
    found = _fetch(connection, "messages", page, where, MESSAGE, values, windowed=needs_window(where, page))
    return Slice([records.message_from_row(row[1:]) for row in found.rows], found.done, found.last_seen)


def find_messages(
    connection: sqlite3.Connection, scope: AppScope, message_ids: Collection[str], *, with_content: bool
) -> list[Message]:
    ids = orjson.dumps(list(message_ids)).decode()
    values = {"org_id": scope.org_id, "app_id": scope.app_id, "ids": ids, "with_content": with_content}
    return [records.message_from_row(row) for row in connection.execute(_SQL["messages_by_id"], values)]


def list_attempts_of_message(
    connection: sqlite3.Connection,
    scope: AppScope,
    message_id: str,
    page: Page,
    where: MessageFilter,
    *,
    with_content: bool,
) -> Slice[Attempt]:
    values = {**_bind(scope, where, with_content=with_content), "parent_id": message_id}
    return _attempts(
        _fetch(connection, "attempts_of_message", page, where, ATTEMPT, values, windowed=needs_window(where, page))
    )


def list_attempts_of_endpoint(
    connection: sqlite3.Connection,
    scope: AppScope,
    endpoint_id: str,
    page: Page,
    where: MessageFilter,
    *,
    with_content: bool,
) -> Slice[Attempt]:
    values = {**_bind(scope, where, with_content=with_content), "parent_id": endpoint_id}
    troubles = where.is_about_trouble
    name = "troubles_of_endpoint" if troubles else "attempts_of_endpoint"
    windowed = needs_window(where, page, by_status=troubles)
    return _attempts(_fetch(connection, name, page, where, ATTEMPT, values, windowed=windowed))


def list_messages_of_endpoint(
    connection: sqlite3.Connection,
    scope: AppScope,
    endpoint_id: str,
    page: Page,
    where: MessageFilter,
    states: Collection[DeliveryState] | None,
    now_ms: int,
    *,
    with_content: bool,
) -> Slice[EndpointMessage]:
    walk = Walk.of(page, where, MESSAGE)
    values = {**_bind(scope, where, with_content=with_content), "endpoint_id": endpoint_id}
    end = find_end(connection, _SQL["messages_window"], values, walk)
    if end is not None:
        walk = walk.until(end)
    standing = Standing(endpoint_id, page.limit, states, now_ms)
    while (size := standing.next_size()) > 0:
        ids = [row[0] for row in walk_through(connection, _SQL["messages_at_endpoint"], values, walk, size)]
        if ids:
            wanted = {"ids": orjson.dumps(ids).decode(), "endpoint_id": endpoint_id}
            ends = connection.execute(_SQL["ends_at_endpoint"], wanted).fetchall()
            pending = connection.execute(_SQL["pending_at_endpoint"], wanted).fetchall()
            standing.add(ids, _by_message(sorted(ends), 1, EndRow, 2), _by_message(pending, 0, PendingRow, 1))
            walk = walk.beyond(ids[-1])
        if len(ids) < size:
            break
    found = cut(standing.rows, page.limit, walk, end)
    messages = {
        one.id: one
        for one in find_messages(connection, scope, [row[0] for row in found.rows], with_content=with_content)
    }
    rows = [EndpointMessage(messages[row[0]], row[1]) for row in found.rows if row[0] in messages]
    return Slice(rows, found.done, found.last_seen)


def _fetch(
    connection: sqlite3.Connection,
    name: str,
    page: Page,
    where: MessageFilter,
    prefix: str,
    values: dict[str, Any],
    *,
    windowed: bool,
) -> Slice[Row]:
    walk = Walk.of(page, where, prefix)
    window = _SQL[f"{name}_window"] if windowed else None
    return fetch_page(connection, compose(name, where), values, page, walk=walk, window_query=window)


def compose(name: str, where: MessageFilter) -> str:
    """The text of a list; messages are joined only for a filter that asks for them."""
    sql = _SQL[name].replace("/*matches*/", _SQL["matches"])
    return sql.replace("/*messages*/", _SQL["join_messages"] if where.is_about_messages else "")


def _attempts(found: Slice[Row]) -> Slice[Attempt]:
    return Slice([records.attempt_from_row(row[1:]) for row in found.rows], found.done, found.last_seen)


def _by_message(rows: Sequence[Row], key: int, shape: type[Any], first: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(shape(*row[first:]))
    return found


def _bind(scope: AppScope, where: MessageFilter, *, with_content: bool) -> dict[str, Any]:
    return {
        "org_id": scope.org_id,
        "app_id": scope.app_id,
        "event_types": None if where.event_types is None else orjson.dumps(where.event_types).decode(),
        "channel": where.channel,
        "tag": where.tag,
        "since_ms": where.since_ms,
        "until_ms": where.until_ms,
        "status": None if where.status is None else records.STATUS_NUMBER[where.status],
        "status_class": where.status_class,
        "endpoint_id": where.endpoint_id,
        "unsettled": where.unsettled,
        "with_content": with_content,
    }
