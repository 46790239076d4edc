"""The `AlertStore` side of `PostgresStore`."""

from __future__ import annotations

import asyncpg

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
from hookline.store.postgres.announcing import announce_to_organization
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.paging import fetch_page
from hookline.store.protocol import Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope

_SQL = load_queries("postgres", "alerts")


class Alerts(PostgresBase):
    """What surfaces configure goes over the readers' connections. Measuring reads many rows, so it goes over those of
    background tasks: a rescue must not wait for it.
    """

    async def create_alert_rule(self, rule: AlertRule) -> AlertRule:
        async with self._reads.query() as connection:
            await connection.execute(_SQL["insert"], *rule_to_row(rule))
        return rule

    async def get_alert_rule(self, scope: OrgScope, rule_id: str) -> AlertRule | None:
        return _maybe_rule(await self._reads.fetch_row(_SQL["find"], scope.org_id, rule_id))

    async def list_alert_rules(self, scope: OrgScope, page: Page) -> Slice[AlertRule]:
        found = await fetch_page(self._reads, _SQL["list"], page, scope.org_id)
        return Slice([rule_from_row(row) for row in found.rows], found.done, found.last_seen)

    async def update_alert_rule(self, rule: AlertRule) -> AlertRule | None:
        return _maybe_rule(await self._reads.fetch_row(_SQL["update"], *settings_of(rule)))

    async def delete_alert_rule(self, scope: OrgScope, rule_id: str) -> bool:
        async with self._reads.query() as connection:
            return await connection.execute(_SQL["delete"], scope.org_id, rule_id) == "DELETE 1"

    async def list_enabled_alert_rules(self, after_id: str, limit: int) -> list[AlertRule]:
        return [rule_from_row(tuple(row)) for row in await self._upkeep.fetch(_SQL["list_enabled"], after_id, limit)]

    async def measure_alert(self, rule: AlertRule, now_ms: int) -> Measure:
        scope = (rule.org_id, rule.app_id)
        if rule.kind is AlertKind.FAILURE_RATE:
            bounds = (*scope, first_attempt_id(rule, now_ms), MOST_ATTEMPTS)
            row = await self._tasks.fetch_row(_SQL["count_attempts"], *bounds)
            assert row is not None
            return rate_of(*row)
        if rule.kind is AlertKind.OLDEST_WAITING:
            return age_of(await self._tasks.fetch_value(_SQL["find_oldest_due"], *scope, now_ms), now_ms)
        if rule.kind is AlertKind.EXHAUSTED:
            bounds = (*scope, first_attempt_id(rule, now_ms), MOST_EXHAUSTED)
            return Measure(await self._tasks.fetch_value(_SQL["count_exhausted"], *bounds))
        return Measure(await self._tasks.fetch_value(_SQL["count_disabled"], *scope))

    async def settle_alert(self, rule: AlertRule, verdict: Verdict, measure: Measure, now_ms: int) -> AlertRule | None:
        async with self._upkeep.transaction() as connection:
            row = (rule.id, rule.updated_at_ms, verdict.state.value, measure.value, now_ms)
            settled = _maybe_rule(await connection.fetchrow(_SQL["settle"], *row))
            if settled is not None:
                news = announce_alert(rule, verdict, measure, now_ms)
                await announce_to_organization(connection, rule.org_id, news)
        return settled

    async def note_told(self, rule: AlertRule, told_at_ms: int) -> None:
        async with self._upkeep.query() as connection:
            await connection.execute(_SQL["note_told"], rule.id, rule.changed_at_ms, told_at_ms)


def _maybe_rule(row: asyncpg.Record | None) -> AlertRule | None:
    return None if row is None else rule_from_row(tuple(row))
