"""`AlertStore`: alert rules, what they measure, and how they stand; and their rows, the same for both databases.

Measuring is bounded, whatever there is: of each endpoint the newest `MOST_ATTEMPTS` of the window are counted, and of
the deliveries that failed for good at most `MOST_EXHAUSTED`. All of it goes by indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from hookline.model.alerts import AlertKind, AlertRule, AlertState, Measure, Verdict, describe
from hookline.model.ids import ATTEMPT, id_at
from hookline.model.operational import ALERT_FIRED, ALERT_RESOLVED
from hookline.model.times import write_rfc3339
from hookline.store.announcing import Announcement
from hookline.store.records import join_names, split_names
from hookline.store.scope import OrgScope

if TYPE_CHECKING:
    from hookline.store.protocol import Page, Slice

MOST_ATTEMPTS: Final = 1_000
MOST_EXHAUSTED: Final = 100_000


class AlertStore(Protocol):
    """What the API configures, and what the evaluator asks. The latter's questions see all tenants."""

    async def create_alert_rule(self, rule: AlertRule) -> AlertRule: ...
    async def get_alert_rule(self, scope: OrgScope, rule_id: str) -> AlertRule | None: ...
    async def list_alert_rules(self, scope: OrgScope, page: Page) -> Slice[AlertRule]: ...
    async def update_alert_rule(self, rule: AlertRule) -> AlertRule | None:
        """Replace what was configured; the state stays, but that of a rule that is not enabled is ok. None: gone."""
        ...

    async def delete_alert_rule(self, scope: OrgScope, rule_id: str) -> bool: ...
    async def list_enabled_alert_rules(self, after_id: str, limit: int) -> list[AlertRule]: ...
    async def measure_alert(self, rule: AlertRule, now_ms: int) -> Measure: ...
    async def settle_alert(self, rule: AlertRule, verdict: Verdict, measure: Measure, now_ms: int) -> AlertRule | None:
        """Write a change of state, and tell whom it concerns by operational webhook, in one transaction. None when the
        rule was changed or is gone meanwhile: nothing was written.
        """
        ...

    async def note_told(self, rule: AlertRule, told_at_ms: int) -> None:
        """People were told of the state that the rule has here."""
        ...


def rule_to_row(rule: AlertRule) -> tuple[Any, ...]:
    """Give all columns of hookline_alert_rules in their order."""
    r = rule
    return (
        r.id,
        r.org_id,
        r.app_id,
        r.name,
        r.kind.value,
        r.threshold,
        r.window_ms,
        r.least,
        join_names(r.notify),
        r.renotify_ms,
        r.enabled,
        r.created_at_ms,
        r.updated_at_ms,
        r.state.value,
        r.value,
        r.changed_at_ms,
        r.told_at_ms,
    )


def settings_of(rule: AlertRule) -> tuple[Any, ...]:
    """Give id, org_id, and what a change replaces."""
    (rule_id, org_id, *rest) = rule_to_row(rule)
    return (rule_id, org_id, *rest[:9], rule.updated_at_ms)


def rule_from_row(row: Sequence[Any]) -> AlertRule:
    """Read the columns that `rule_to_row` gives."""
    values = list(row)
    values[4] = AlertKind(values[4])
    values[8] = split_names(values[8]) or ()
    values[10] = bool(values[10])
    values[13] = AlertState(values[13])
    return AlertRule(*values)


def first_attempt_id(rule: AlertRule, now_ms: int) -> str:
    """The smallest id of an attempt of the rule's window."""
    return id_at(ATTEMPT, now_ms - rule.window_ms)


def rate_of(attempts: int, failed: int) -> Measure:
    return Measure(failed / attempts if attempts else 0.0, attempts)


def age_of(oldest_due_at_ms: int | None, now_ms: int) -> Measure:
    return Measure(0.0 if oldest_due_at_ms is None else max(0, now_ms - oldest_due_at_ms) / 1000)


def announce_alert(rule: AlertRule, verdict: Verdict, measure: Measure, now_ms: int) -> Announcement:
    """The operational webhook of a change."""
    event_type = ALERT_FIRED if verdict.state is AlertState.FIRING else ALERT_RESOLVED
    data = {
        "ruleId": rule.id,
        "name": rule.name,
        "kind": rule.kind.value,
        "threshold": rule.threshold,
        "value": measure.value,
        "since": write_rfc3339(now_ms),
        "detail": describe(rule.kind, measure.value, rule.window_ms),
    }
    return Announcement(event_type, f"{event_type}.{rule.id}.{now_ms}", rule.app_id, data)
