"""Lists of messages and attempts, and of messages at an endpoint with where their deliveries stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hookline.model import Attempt, DeliveryState, Message
from hookline.model.ids import ATTEMPT, MESSAGE
from hookline.store import records
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.paging import find_end, walk_through
from hookline.store.protocol import EndpointMessage, MessageFilter, Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope
from hookline.store.views import EndRow, PendingRow, Standing
from hookline.store.walking import Row, Walk, cut, needs_window

_SQL = load_queries("postgres", "lists")


class Listing(PostgresBase):
    """What surfaces list."""

    async def list_messages(
        self, scope: AppScope, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Message]:
        values = (
            *_owner(scope),
            *_of_messages(where),
            where.since_ms,
            where.until_ms,
            with_content,
            where.endpoint_id,
            _status(where),
            where.status_class,
        )
        async with self._reads.query() as connection:
            found = await _fetch(
                connection,
                "messages",
                page,
                where,
                MESSAGE,
                values,
                (scope.app_id,),
                windowed=needs_window(where, page),
            )
        return Slice([records.message_from_row(row[1:]) for row in found.rows], found.done, found.last_seen)

    async def get_messages(
        self, scope: AppScope, message_ids: Collection[str], *, with_content: bool = True
    ) -> list[Message]:
        async with self._reads.query() as connection:
            return await _find_messages(connection, scope, message_ids, with_content=with_content)

    async def list_attempts_of_message(
        self, scope: AppScope, message_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        values = (*_of_attempts(scope, message_id, where, with_content=with_content), *_of_messages(where))
        async with self._reads.query() as connection:
            found = await _fetch(
                connection,
                "attempts_of_message",
                page,
                where,
                ATTEMPT,
                values,
                (message_id,),
                windowed=needs_window(where, page),
            )
        return _attempts(found)

    async def list_attempts_of_endpoint(
        self, scope: AppScope, endpoint_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        values = _of_attempts(scope, endpoint_id, where, with_content=with_content)
        if where.is_about_messages:
            values = (*values, *_of_messages(where))
        troubles = where.is_about_trouble
        name = "troubles_of_endpoint" if troubles else "attempts_of_endpoint"
        parent = (endpoint_id, _status(where)) if troubles else (endpoint_id,)
        windowed = needs_window(where, page, by_status=troubles)
        async with self._reads.query() as connection:
            found = await _fetch(connection, name, page, where, ATTEMPT, values, parent, windowed=windowed)
        return _attempts(found)

    async def list_messages_of_endpoint(
        self,
        scope: AppScope,
        endpoint_id: str,
        page: Page,
        where: MessageFilter,
        *,
        states: Collection[DeliveryState] | None,
        now_ms: int,
        with_content: bool = True,
    ) -> Slice[EndpointMessage]:
        walk = Walk.of(page, where, MESSAGE)
        values = (*_owner(scope), *_of_messages(where), where.since_ms, where.until_ms, endpoint_id)
        standing = Standing(endpoint_id, page.limit, states, now_ms)
        async with self._reads.query() as connection:
            end = await find_end(connection, _SQL["messages_window"], walk, scope.app_id)
            if end is not None:
                walk = walk.until(end)
            while (size := standing.next_size()) > 0:
                ids = [
                    row[0] for row in await walk_through(connection, _SQL["messages_at_endpoint"], walk, size, *values)
                ]
                if ids:
                    ends = await connection.fetch(_SQL["ends_at_endpoint"], ids, endpoint_id)
                    pending = await connection.fetch(_SQL["pending_at_endpoint"], ids, endpoint_id)
                    in_order = sorted(tuple(row) for row in ends)
                    standing.add(ids, _by_message(in_order, 1, EndRow, 2), _by_message(pending, 0, PendingRow, 1))
                    walk = walk.beyond(ids[-1])
                if len(ids) < size:
                    break
            chosen = cut(standing.rows, page.limit, walk, end)
            names = [row[0] for row in chosen.rows]
            messages = {
                one.id: one for one in await _find_messages(connection, scope, names, with_content=with_content)
            }
        rows = [EndpointMessage(messages[row[0]], row[1]) for row in chosen.rows if row[0] in messages]
        return Slice(rows, chosen.done, chosen.last_seen)


async def _find_messages(
    connection: Connection, scope: AppScope, message_ids: Collection[str], *, with_content: bool
) -> list[Message]:
    rows = await connection.fetch(_SQL["messages_by_id"], *_owner(scope), list(message_ids), with_content)
    return [records.message_from_row(tuple(row)) for row in rows]


async def _fetch(
    connection: Connection,
    name: str,
    page: Page,
    where: MessageFilter,
    prefix: str,
    values: tuple[Any, ...],
    parent: tuple[Any, ...],
    *,
    windowed: bool,
) -> Slice[Row]:
    walk = Walk.of(page, where, prefix)
    end = await find_end(connection, _SQL[f"{name}_window"], walk, *parent) if windowed else None
    if end is not None:
        walk = walk.until(end)
    rows = await walk_through(connection, compose(name, where), walk, page.limit + 1, *values)
    return cut(rows, page.limit, walk, end)


def compose(name: str, where: MessageFilter) -> str:
    """The text of a list; messages are joined only for a filter that asks for them."""
    sql = _SQL[name].replace("/*matches*/", _SQL["matches"])
    return sql.replace("/*messages*/", _SQL["join_messages"] if where.is_about_messages else "")


def _attempts(found: Slice[Row]) -> Slice[Attempt]:
    return Slice([records.attempt_from_row(row[1:]) for row in found.rows], found.done, found.last_seen)


def _by_message(rows: Sequence[Any], key: int, shape: type[Any], first: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(shape(*row[first:]))
    return found


def _owner(scope: AppScope) -> tuple[str, str]:
    return scope.org_id, scope.app_id


def _status(where: MessageFilter) -> int | None:
    return None if where.status is None else records.STATUS_NUMBER[where.status]


def _of_messages(where: MessageFilter) -> tuple[Any, ...]:
    return where.event_types, where.channel, where.tag


def _of_attempts(scope: AppScope, parent_id: str, where: MessageFilter, *, with_content: bool) -> tuple[Any, ...]:
    return (
        *_owner(scope),
        parent_id,
        _status(where),
        where.status_class,
        where.since_ms,
        where.until_ms,
        where.endpoint_id,
        where.unsettled,
        with_content,
    )
