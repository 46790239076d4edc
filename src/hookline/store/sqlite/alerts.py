"""The `AlertStore` side of `SqliteStore`."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from hookline.model.alerts import AlertKind, AlertRule, Measure, Verdict
from hookline.store.alerts import (
    MOST_ATTEMPTS,
    MOST_EXHAUSTED,
    age_of,
    announce_alert,
    first_attempt_id,
    rate_of,
    rule_from_row,
    rule_to_row,
    settings_of,
)
from hookline.store.protocol import Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope
from hookline.store.sqlite import operations
from hookline.store.sqlite.paging import fetch_page
from hookline.store.sqlite.watching import Watcher
from hookline.store.sqlite.writer import Writer

_SQL = load_queries("sqlite", "alerts")

T = TypeVar("T")


class SqliteAlertStore(ABC):
    """Each method is one transaction."""

    _writer: Writer
    _watcher: Watcher

    @abstractmethod
    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    async def create_alert_rule(self, rule: AlertRule) -> AlertRule:
        await self._writer.run(lambda c: c.execute(_SQL["insert"], rule_to_row(rule)))
        return rule

    async def get_alert_rule(self, scope: OrgScope, rule_id: str) -> AlertRule | None:
        return await self._read(lambda c: _maybe_rule(c.execute(_SQL["find"], (scope.org_id, rule_id))))

    async def list_alert_rules(self, scope: OrgScope, page: Page) -> Slice[AlertRule]:
        found = await self._read(lambda c: fetch_page(c, _SQL["list"], {"org_id": scope.org_id}, page))
        return Slice([rule_from_row(row) for row in found.rows], found.done, found.last_seen)

    async def update_alert_rule(self, rule: AlertRule) -> AlertRule | None:
        return await self._writer.run(lambda c: _maybe_rule(c.execute(_SQL["update"], settings_of(rule))))

    async def delete_alert_rule(self, scope: OrgScope, rule_id: str) -> bool:
        return await self._writer.run(lambda c: c.execute(_SQL["delete"], (scope.org_id, rule_id)).rowcount > 0)

    async def list_enabled_alert_rules(self, after_id: str, limit: int) -> list[AlertRule]:
        return await self._read(
            lambda c: [rule_from_row(row) for row in c.execute(_SQL["list_enabled"], (after_id, limit))]
        )

    async def measure_alert(self, rule: AlertRule, now_ms: int) -> Measure:
        return await self._read(lambda c: _measure(c, rule, now_ms))

    async def settle_alert(self, rule: AlertRule, verdict: Verdict, measure: Measure, now_ms: int) -> AlertRule | None:
        def work(connection: sqlite3.Connection) -> tuple[AlertRule | None, bool]:
            row = (rule.id, rule.updated_at_ms, verdict.state.value, measure.value, now_ms)
            settled = _maybe_rule(connection.execute(_SQL["settle"], row))
            if settled is None:
                return None, False
            news = announce_alert(rule, verdict, measure, now_ms)
            return settled, operations.announce_to_organization(connection, rule.org_id, news)

        settled, told = await self._writer.run(work)
        if told:
            self._watcher.announce("outbox")
        return settled

    async def note_told(self, rule: AlertRule, told_at_ms: int) -> None:
        await self._writer.run(lambda c: c.execute(_SQL["note_told"], (rule.id, rule.changed_at_ms, told_at_ms)))


def _maybe_rule(found: sqlite3.Cursor) -> AlertRule | None:
    row = found.fetchone()
    return None if row is None else rule_from_row(row)


def _measure(connection: sqlite3.Connection, rule: AlertRule, now_ms: int) -> Measure:
    scope = (rule.org_id, rule.app_id)
    if rule.kind is AlertKind.FAILURE_RATE:
        bounds = (*scope, first_attempt_id(rule, now_ms), MOST_ATTEMPTS)
        return rate_of(*connection.execute(_SQL["count_attempts"], bounds).fetchone())
    if rule.kind is AlertKind.OLDEST_WAITING:
        return age_of(connection.execute(_SQL["find_oldest_due"], (*scope, now_ms)).fetchone()[0], now_ms)
    if rule.kind is AlertKind.EXHAUSTED:
        bounds = (*scope, first_attempt_id(rule, now_ms), MOST_EXHAUSTED)
        return Measure(connection.execute(_SQL["count_exhausted"], bounds).fetchone()[0])
    return Measure(connection.execute(_SQL["count_disabled"], scope).fetchone()[0])
