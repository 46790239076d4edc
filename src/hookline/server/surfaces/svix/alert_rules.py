"""`/api/v1/alert-rule`: what an organization wants to be told of. Hookline's own; Svix has no such route."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response, status

from hookline.model import ids
from hookline.model.alerts import AlertRule
from hookline.server.routing import BEARER, AuthenticatedRoute, Organization, RuntimeDep
from hookline.server.surfaces.svix.alert_shapes import AlertRuleFields, AlertRuleIn, AlertRuleOut, AlertRulePatch
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Order, iterators, read_page
from hookline.server.surfaces.svix.rendering import format_time
from hookline.server.surfaces.svix.shapes import ListOut
from hookline.services import AlertRuleForm
from hookline.services.errors import invalid

router = APIRouter(prefix="/alert-rule", tags=["Alert Rule"], route_class=AuthenticatedRoute, dependencies=[BEARER])

# What a member that is null means.
_EMPTY: Final[dict[str, Any]] = {
    "app_id": None,
    "window_s": AlertRuleForm("", "", 0).window_s,
    "least": AlertRuleForm("", "", 0).least,
    "notify": (),
    "renotify_s": None,
    "enabled": True,
}


@router.get("", operation_id="v1.alert-rule.list")
async def list_alert_rules(
    runtime: RuntimeDep,
    caller: Organization,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    order: Order = None,
) -> ListOut[AlertRuleOut]:
    page = read_page(ids.ALERT_RULE, limit, iterator, ascending=order != "descending")
    rows = await runtime.alert_rules.list_page(caller, page)
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    data = [_render(row) for row in rows.rows]
    return ListOut(data=data, iterator=following, prev_iterator=previous, done=rows.done)


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="v1.alert-rule.create")
async def create_alert_rule(
    runtime: RuntimeDep, caller: Organization, body: AlertRuleIn, response: Response
) -> AlertRuleOut:
    rule = await runtime.alert_rules.create(caller, _read_whole(body))
    runtime.alerting.wake()
    response.headers["location"] = runtime.link(f"/api/v1/alert-rule/{rule.id}")
    return _render(rule)


@router.get("/{rule_id}", operation_id="v1.alert-rule.get")
async def get_alert_rule(runtime: RuntimeDep, caller: Organization, rule_id: str) -> AlertRuleOut:
    """What it watches, and how it stands."""
    return _render(await runtime.alert_rules.get(caller, rule_id))


@router.put("/{rule_id}", operation_id="v1.alert-rule.update")
async def update_alert_rule(runtime: RuntimeDep, caller: Organization, rule_id: str, body: AlertRuleIn) -> AlertRuleOut:
    """Replace what it watches. How it stands stays."""
    return _render(await runtime.alert_rules.update(caller, rule_id, lambda _: _read_whole(body)))


@router.patch("/{rule_id}", operation_id="v1.alert-rule.patch")
async def patch_alert_rule(
    runtime: RuntimeDep, caller: Organization, rule_id: str, body: AlertRulePatch
) -> AlertRuleOut:
    """Change what is given."""

    def fill(rule: AlertRule) -> AlertRuleForm:
        return msgspec.structs.replace(AlertRuleForm.of(rule), **_stated(body))

    return _render(await runtime.alert_rules.update(caller, rule_id, fill))


@router.delete("/{rule_id}", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.alert-rule.delete")
async def delete_alert_rule(runtime: RuntimeDep, caller: Organization, rule_id: str) -> None:
    await runtime.alert_rules.delete(caller, rule_id)


def _read_whole(body: AlertRuleIn) -> AlertRuleForm:
    return msgspec.structs.replace(AlertRuleForm(body.name, body.kind, body.threshold), **_stated(body))


def _stated(body: AlertRuleFields) -> dict[str, Any]:
    """The members that the body has."""
    stated: dict[str, Any] = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None and name not in _EMPTY:
            raise invalid(name, "A rule has one. Leave the member out to keep it.")
        stated[name] = _EMPTY[name] if value is None else tuple(value) if isinstance(value, list) else value
    return stated


def _render(rule: AlertRule) -> AlertRuleOut:
    return AlertRuleOut(
        id=rule.id,
        app_id=rule.app_id,
        name=rule.name,
        kind=rule.kind.value,
        threshold=rule.threshold,
        window_s=rule.window_ms // 1000,
        least=rule.least,
        notify=list(rule.notify),
        renotify_s=None if rule.renotify_ms is None else rule.renotify_ms // 1000,
        enabled=rule.enabled,
        state=rule.state.value,
        value=rule.value,
        since=format_time(rule.changed_at_ms),
        created_at=format_time(rule.created_at_ms),
        updated_at=format_time(rule.updated_at_ms),
    )
