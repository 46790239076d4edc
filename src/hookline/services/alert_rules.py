"""Alert rules: what an organization wants to be told of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.model import ids
from hookline.model.alerts import AlertKind, AlertRule
from hookline.services.directory import Directory
from hookline.services.errors import InvalidError, LimitReachedError, NotFoundError, Problem
from hookline.services.principal import Principal
from hookline.services.validation import Findings, check_name, may_be_name
from hookline.store.alerts import AlertStore
from hookline.store.protocol import Page, Slice

MAX_RULES: Final = 100  # of one organization: each is measured every few seconds
MAX_NOTIFIERS: Final = 10  # of one rule
SHORTEST_WINDOW_S: Final = 60
LONGEST_WINDOW_S: Final = 86_400
SHORTEST_RENOTIFY_S: Final = 60
LONGEST_RENOTIFY_S: Final = 30 * 86_400
LARGEST_THRESHOLD: Final = 1e9


class AlertRuleForm(msgspec.Struct, frozen=True):
    """What a caller says about a rule. `app_id` is an id or a uid; None is the whole organization."""

    name: str
    kind: str
    threshold: float
    app_id: str | None = None
    window_s: int = 300
    least: int = 20
    notify: tuple[str, ...] = ()
    renotify_s: int | None = None
    enabled: bool = True

    @classmethod
    def of(cls, rule: AlertRule) -> AlertRuleForm:
        """The form that says what is already so: the base of a partial update."""
        return cls(
            name=rule.name,
            kind=rule.kind.value,
            threshold=rule.threshold,
            app_id=rule.app_id,
            window_s=rule.window_ms // 1000,
            least=rule.least,
            notify=rule.notify,
            renotify_s=None if rule.renotify_ms is None else rule.renotify_ms // 1000,
            enabled=rule.enabled,
        )


class AlertRules:
    """Creates, reads, changes and deletes rules. Only the organization itself may."""

    def __init__(self, store: AlertStore, directory: Directory, notifiers: Collection[str], clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._notifiers = notifiers
        self._clock = clock

    async def create(self, principal: Principal, form: AlertRuleForm) -> AlertRule:
        """A new rule, which is well until something else is measured.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: the form breaks a rule.
            LimitReachedError: the organization has as many as it may have.
        """
        scope = principal.require_organization()
        app_id = await self._check(principal, form)
        if not (await self._store.list_alert_rules(scope, Page(limit=MAX_RULES - 1))).done:
            raise LimitReachedError(f"An organization may have {MAX_RULES} alert rules. Delete one first.")
        now_ms = self._clock.now_ms()
        blank = AlertRule(
            id=ids.new_id(ids.ALERT_RULE),
            org_id=scope.org_id,
            app_id=app_id,
            name=form.name,
            kind=AlertKind(form.kind),
            threshold=form.threshold,
            window_ms=0,
            least=0,
            notify=(),
            renotify_ms=None,
            enabled=form.enabled,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            changed_at_ms=now_ms,
            told_at_ms=now_ms,  # nobody need be told that a new rule is well
        )
        return await self._store.create_alert_rule(_filled(blank, form, app_id, now_ms))

    async def get(self, principal: Principal, rule_id: str) -> AlertRule:
        """Raises NotFoundError, ForbiddenError."""
        scope = principal.require_organization()
        rule = await self._store.get_alert_rule(scope, rule_id) if may_be_name(rule_id) else None
        if rule is None:
            raise NotFoundError
        return rule

    async def list_page(self, principal: Principal, page: Page) -> Slice[AlertRule]:
        """Raises ForbiddenError."""
        return await self._store.list_alert_rules(principal.require_organization(), page)

    async def update(self, principal: Principal, rule_id: str, fill: Callable[[AlertRule], AlertRuleForm]) -> AlertRule:
        """Replace what the form says that `fill` makes of the rule. How it stands stays; disabled, it is well.

        Raises:
            ForbiddenError: the caller is one application only.
            NotFoundError: there is no such rule.
            InvalidError: the form breaks a rule.
        """
        rule = await self.get(principal, rule_id)
        form = fill(rule)
        app_id = await self._check(principal, form, already=rule)
        now_ms = max(self._clock.now_ms(), rule.updated_at_ms + 1)
        updated = await self._store.update_alert_rule(_filled(rule, form, app_id, now_ms))
        if updated is None:
            raise NotFoundError
        return updated

    async def delete(self, principal: Principal, rule_id: str) -> None:
        """Raises NotFoundError, ForbiddenError."""
        rule = await self.get(principal, rule_id)
        if not await self._store.delete_alert_rule(principal.require_organization(), rule.id):
            raise NotFoundError

    async def _check(self, principal: Principal, form: AlertRuleForm, already: AlertRule | None = None) -> str | None:
        """The id of the form's application. Raises InvalidError with everything that is wrong."""
        findings = Findings()
        check_name(form.name, findings)
        if form.kind not in set(AlertKind):
            findings.add("kind", f"Use one of {', '.join(AlertKind)}.", "enum")
        _check_threshold(form, findings)
        _check_range("window_s", form.window_s, SHORTEST_WINDOW_S, LONGEST_WINDOW_S, findings)
        _check_range("least", form.least, 1, 1_000_000, findings)
        if form.renotify_s is not None:
            _check_range("renotify_s", form.renotify_s, SHORTEST_RENOTIFY_S, LONGEST_RENOTIFY_S, findings)
        if len(form.notify) > MAX_NOTIFIERS:
            findings.add("notify", f"At most {MAX_NOTIFIERS} notifiers.", "too_long")
        kept = () if already is None else already.notify
        for index, name in enumerate(form.notify):
            if name not in self._notifiers and name not in kept:
                known = ", ".join(sorted(self._notifiers)) or "none"
                findings.add(("notify", index), f"The operator has no such notifier. There are: {known}.", "enum")
        findings.finish()
        if form.app_id is None or (already is not None and form.app_id == already.app_id):
            return form.app_id
        try:
            return (await self._directory.resolve(principal, form.app_id)).app_id
        except NotFoundError:
            raise InvalidError([Problem(("app_id",), "There is no such application.", "not_found")]) from None


def _check_threshold(form: AlertRuleForm, findings: Findings) -> None:
    if form.kind == AlertKind.FAILURE_RATE and not 0 < form.threshold <= 1:
        findings.add("threshold", "Use a share above 0, at most 1: 0.25 is a quarter of the attempts.", "range")
    elif not 0 < form.threshold <= LARGEST_THRESHOLD:
        findings.add("threshold", "Use a number above 0.", "range")


def _check_range(field: str, value: int, least: int, most: int, findings: Findings) -> None:
    if not least <= value <= most:
        findings.add(field, f"Use {least} to {most}.", "range")


def _filled(rule: AlertRule, form: AlertRuleForm, app_id: str | None, now_ms: int) -> AlertRule:
    return msgspec.structs.replace(
        rule,
        app_id=app_id,
        name=form.name,
        kind=AlertKind(form.kind),
        threshold=form.threshold,
        window_ms=form.window_s * 1000,
        least=form.least,
        notify=tuple(dict.fromkeys(form.notify)),
        renotify_ms=None if form.renotify_s is None else form.renotify_s * 1000,
        enabled=form.enabled,
        updated_at_ms=now_ms,
    )
