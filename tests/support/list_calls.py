"""Every list and count that the API can ask of a store, by name, over a past: for the plans' test and the benchmark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hookline.model import AttemptStatus, DeliveryState
from hookline.store import EventTypeFilter, MessageFilter, OrgScope, Page, Store
from hookline.store.scope import AppScope
from support.filling import DAY_MS, Past

Call = Callable[[], Awaitable[Any]]
FAILED = MessageFilter(status=AttemptStatus.FAILED)


def list_calls(store: Store, past: Past, *, limit: int = 50) -> dict[str, Call]:
    """A call for each kind of page and filter; each as the services make it, within 90 days."""
    since_ms = past.now_ms - 90 * DAY_MS
    day = MessageFilter(since_ms=past.now_ms - 20 * DAY_MS, until_ms=past.now_ms - 19 * DAY_MS)
    filters = {
        "": MessageFilter(),
        ", a day of it": day,
        ", channel": MessageFilter(channel="c3"),
        ", rare tag": MessageFilter(tag="rare"),
        ", rare event type": MessageFilter(event_types=("rare.type",)),
        ", all of these": MessageFilter(event_types=("type.1", "type.3"), channel="c3", tag="common"),
    }
    of_attempts = {
        **filters,
        ", status 0": MessageFilter(status=AttemptStatus.SUCCEEDED),
        ", status 2": FAILED,
        ", status 2, rare tag": msgspec.structs.replace(FAILED, tag="rare"),
        ", status 3": msgspec.structs.replace(FAILED, unsettled="sending"),
        ", status 1": msgspec.structs.replace(FAILED, unsettled="pending"),
        ", status 4": MessageFilter(status=AttemptStatus.CANCELED),
        ", class 500": msgspec.structs.replace(FAILED, status_class=500),
        ", class 200": MessageFilter(status_class=200),
    }
    calls: dict[str, Call] = {}

    def add(name: str, ask: Callable[..., Awaitable[Any]], where: MessageFilter, middle: str, **more: Any) -> None:
        bounded = where if where.since_ms is not None else msgspec.structs.replace(where, since_ms=since_ms)
        pages = {"first page": Page(limit), "from the middle": Page(limit, after=middle)}
        pages["back from the middle"] = Page(limit, before=middle)
        for title, page in pages.items():
            calls[f"{name}: {title}"] = lambda page=page: ask(page, bounded, **more)

    scope = past.scope
    for title, where in filters.items():
        for content in (True, False) if not title else (False,):
            suffix = title if content or title else ", without content"
            add(f"messages{suffix}", _of(store.list_messages, scope), where, past.middle_message, with_content=content)
        at = _of(store.list_messages_of_endpoint, scope, past.busy)
        more = {"now_ms": past.now_ms, "with_content": False}
        add(f"messages of a busy endpoint{title}", at, where, past.middle_message, states=None, **more)
    for title, endpoint_id, states in (
        ("a busy endpoint, failed", past.busy, {DeliveryState.EXHAUSTED, DeliveryState.ABORTED}),
        ("a failing endpoint, sending", past.failing, {DeliveryState.RETRYING}),
        ("a rare endpoint", past.rare, None),
    ):
        at = _of(store.list_messages_of_endpoint, scope, endpoint_id)
        add(f"messages of {title}", at, MessageFilter(), past.middle_message, states=states, **more)
    for title, where in of_attempts.items():
        name = f"attempts of a busy endpoint{title}"
        add(
            name, _of(store.list_attempts_of_endpoint, scope, past.busy), where, past.middle_attempt, with_content=False
        )
    for title, endpoint_id in (("a rare endpoint", past.rare), ("a failing endpoint, status 3", past.failing)):
        where = MessageFilter() if endpoint_id == past.rare else of_attempts[", status 3"]
        add(
            f"attempts of {title}", _of(store.list_attempts_of_endpoint, scope, endpoint_id), where, past.middle_attempt
        )
    calls |= _of_one_message(store, past, of_attempts, limit)
    period = (past.now_ms - 28 * DAY_MS, past.now_ms)
    calls["stats of a busy endpoint, 28 days"] = lambda: store.count_deliveries(scope, past.busy, *period, past.now_ms)
    calls["attempt-stats of a busy endpoint, 28 days"] = lambda: store.count_attempts(scope, past.busy, *period)
    calls["stats of a failing endpoint, 28 days"] = lambda: store.count_deliveries(
        scope, past.failing, *period, past.now_ms
    )
    organization = OrgScope(scope.org_id)
    for ascending in (True, False):
        order = "oldest first" if ascending else "newest first"
        page = Page(limit, ascending=ascending)
        calls[f"applications, {order}"] = lambda page=page: store.list_applications(organization, page)
        calls[f"endpoints, {order}"] = lambda page=page: store.list_endpoints(scope, page)
        calls[f"event types, {order}"] = lambda page=page: store.list_event_types(organization, page, EventTypeFilter())
    return calls


def _of_one_message(store: Store, past: Past, filters: dict[str, MessageFilter], limit: int) -> dict[str, Call]:
    calls: dict[str, Call] = {}

    async def newest() -> str:
        found = await store.list_messages(past.scope, Page(1), MessageFilter(), with_content=False)
        return found.rows[0].id

    async def attempts(where: MessageFilter, page: Page) -> Any:
        return await store.list_attempts_of_message(past.scope, await newest(), page, where)

    for title, where in (*filters.items(), (", endpoint", MessageFilter(endpoint_id=past.second))):
        calls[f"attempts of a message{title}"] = lambda where=where: attempts(where, Page(limit))
    calls["attempts of a message: back"] = lambda: attempts(MessageFilter(), Page(limit, before="atmpt_7"))

    async def destinations() -> Any:
        return await store.deliveries_of_message(past.scope, await newest(), past.now_ms)

    async def single() -> Any:
        return await store.get_messages(past.scope, [await newest()])

    calls["destinations of a message"] = destinations
    calls["messages by their ids"] = single
    return calls


def _of(method: Callable[..., Awaitable[Any]], scope: AppScope, *parent: str) -> Callable[..., Awaitable[Any]]:
    return lambda page, where, **more: method(scope, *parent, page, where, **more)
