"""Alert rules: kept, measured, and settled together with their operational webhook."""

from __future__ import annotations

import json

import msgspec
import pytest

from hookline.model import EndpointStatus
from hookline.model.alerts import AlertKind, AlertRule, AlertState, Measure, Verdict
from hookline.model.ids import ALERT_RULE, ATTEMPT
from hookline.store import AppScope, Disable, OrgScope, Outcome, Page
from hookline.store.alerts import MOST_ATTEMPTS
from support.store import HOUR, NOW, ORG, SECOND, World, application, attempt, endpoint, failure, new_id

FIRE = Verdict(AlertState.FIRING, changed=True, tell=True)
RESOLVE = Verdict(AlertState.OK, changed=True, tell=True)


def rule(**changes) -> AlertRule:
    fields = {
        "id": new_id(ALERT_RULE),
        "org_id": ORG,
        "app_id": None,
        "name": "Rule ä",
        "kind": AlertKind.EXHAUSTED,
        "threshold": 2.5,
        "window_ms": 60_000,
        "least": 7,
        "notify": ("team", "on-call"),
        "renotify_ms": 99,
        "enabled": True,
        "created_at_ms": NOW,
        "updated_at_ms": NOW,
        "changed_at_ms": NOW,
        "told_at_ms": NOW,
    }
    return AlertRule(**{**fields, **changes})


async def test_rules_come_back_as_they_went_in(store):
    full = await store.create_alert_rule(rule(app_id="app_1"))
    bare = await store.create_alert_rule(rule(notify=(), renotify_ms=None, enabled=False, told_at_ms=None))
    org = OrgScope(ORG)
    assert await store.get_alert_rule(org, full.id) == full
    assert await store.get_alert_rule(org, bare.id) == bare
    assert (await store.list_alert_rules(org, Page(ascending=True))).rows == [full, bare]
    assert (await store.list_alert_rules(org, Page(limit=1, after=full.id, ascending=True))).rows == [bare]
    assert await store.list_enabled_alert_rules("", 10) == [full]
    assert await store.list_enabled_alert_rules(full.id, 10) == []


async def test_other_organizations_see_nothing(store):
    one = await store.create_alert_rule(rule())
    other = OrgScope("org_two")
    assert await store.get_alert_rule(other, one.id) is None
    assert (await store.list_alert_rules(other, Page())).rows == []
    assert await store.update_alert_rule(msgspec.structs.replace(one, org_id="org_two", name="stolen")) is None
    assert not await store.delete_alert_rule(other, one.id)
    assert await store.get_alert_rule(OrgScope(ORG), one.id) == one


async def test_a_change_replaces_what_was_configured_and_leaves_the_state(store):
    one = await store.create_alert_rule(rule())
    fired = await store.settle_alert(one, FIRE, Measure(3.0), NOW + 5)
    assert fired == msgspec.structs.replace(one, state=AlertState.FIRING, value=3.0, changed_at_ms=NOW + 5)
    changed = msgspec.structs.replace(one, name="New", threshold=9.0, notify=(), updated_at_ms=NOW + 6)
    updated = await store.update_alert_rule(changed)
    assert updated == msgspec.structs.replace(
        changed, state=AlertState.FIRING, value=3.0, changed_at_ms=NOW + 5, told_at_ms=NOW
    )
    silenced = await store.update_alert_rule(msgspec.structs.replace(updated, enabled=False, updated_at_ms=NOW + 7))
    assert (silenced.state, silenced.changed_at_ms, silenced.told_at_ms) == (AlertState.OK, NOW + 7, NOW + 7)
    assert await store.delete_alert_rule(OrgScope(ORG), one.id)
    assert await store.update_alert_rule(changed) is None


async def test_a_change_of_state_is_written_once(store):
    one = await store.create_alert_rule(rule())
    assert await store.settle_alert(one, FIRE, Measure(3.0), NOW + 5)
    assert await store.settle_alert(one, FIRE, Measure(3.0), NOW + 6) is None
    edited = await store.update_alert_rule(msgspec.structs.replace(one, updated_at_ms=NOW + 7))
    assert await store.settle_alert(one, RESOLVE, Measure(0.0), NOW + 8) is None  # made from an older rule
    assert (await store.settle_alert(edited, RESOLVE, Measure(0.0), NOW + 8)).state is AlertState.OK


async def test_people_are_told_of_the_state_that_it_has(store):
    one = await store.create_alert_rule(rule())
    fired = await store.settle_alert(one, FIRE, Measure(3.0), NOW + 5)
    await store.note_told(one, NOW + 9)  # of the state before
    assert (await store.get_alert_rule(OrgScope(ORG), one.id)).told_at_ms == NOW
    await store.note_told(fired, NOW + 9)
    assert (await store.get_alert_rule(OrgScope(ORG), one.id)).told_at_ms == NOW + 9


async def test_a_change_of_state_is_told_by_webhook(store):
    operations = await store.create_operations_application(application(uid="operations"))
    one = await store.create_alert_rule(rule(app_id="app_1"))
    await store.settle_alert(one, FIRE, Measure(3.0), NOW)
    assert await store.read_outbox(10) == []  # nobody listens
    await store.create_endpoint(endpoint(operations.id))
    await store.settle_alert(one, RESOLVE, Measure(1.0), NOW + SECOND)
    (row,) = await store.read_outbox(10)
    assert (row.org_id, row.app, row.event_type) == (ORG, operations.id, "alert.resolved")
    assert row.event_id == f"alert.resolved.{one.id}.{NOW + SECOND}"
    data = json.loads(row.payload)["data"]
    assert (data["ruleId"], data["appId"], data["value"], data["threshold"]) == (one.id, "app_1", 1.0, 2.5)
    assert data["detail"] == "1 delivery failed for good within the last 60 s."


async def test_an_applications_rules_go_with_it(world):
    mine = await world.store.create_alert_rule(rule(app_id=world.app.id))
    whole = await world.store.create_alert_rule(rule())
    await world.store.delete_application(world.scope, NOW)
    assert (await world.store.list_alert_rules(OrgScope(ORG), Page())).rows == [whole]
    assert mine.id != whole.id


# --- measures


@pytest.fixture
async def hook(world):
    return await world.endpoint()


async def measure(world: World, kind: AlertKind, now_ms: int = NOW + 60_000, **changes) -> Measure:
    return await world.store.measure_alert(rule(kind=kind, **changes), now_ms)


async def attempts(world: World, endpoint_id: str, count: int, at_ms: int, *, failed: bool, final: bool = True) -> None:
    messages = await world.accept(endpoint_id, count=count)
    made = []
    for one in messages:
        make = failure if failed else attempt
        made.append(make(one, endpoint_id, id=new_id(ATTEMPT, at_ms), final=final, created_at_ms=at_ms))
    await world.record(*(Outcome(one, None if final else at_ms + HOUR) for one in made))


async def other_tenant(world: World) -> None:
    """Trouble that is somebody else's."""
    app = await world.store.create_application(application(org_id="org_two"))
    hook = await world.store.create_endpoint(endpoint(app.id, org_id="org_two"))
    theirs = World(world.store)
    theirs.app, theirs.node = app, world.node
    await attempts(theirs, hook.id, 5, NOW, failed=True)
    await theirs.free(hook.id, due_at_ms=NOW - HOUR)
    await theirs.write(disables=[Disable(app.id, hook.id, "gone")])


async def test_the_failure_rate(world, hook):
    assert await measure(world, AlertKind.FAILURE_RATE) == Measure(0.0, 0)
    await other_tenant(world)
    await attempts(world, hook.id, 3, NOW, failed=False)
    await attempts(world, hook.id, 1, NOW, failed=True, final=False)
    await attempts(world, hook.id, 9, NOW - HOUR, failed=True)
    assert await measure(world, AlertKind.FAILURE_RATE) == Measure(0.25, 4)
    assert await measure(world, AlertKind.FAILURE_RATE, app_id=world.app.id) == Measure(0.25, 4)
    assert await measure(world, AlertKind.FAILURE_RATE, app_id="app_other") == Measure(0.0, 0)


async def test_of_each_endpoint_the_newest_attempts_are_counted(world, hook):
    await attempts(world, hook.id, 500, NOW, failed=True)
    await attempts(world, hook.id, 600, NOW + 1, failed=False)
    found = await measure(world, AlertKind.FAILURE_RATE)
    assert found == Measure(0.4, MOST_ATTEMPTS)


async def test_deliveries_that_failed_for_good(world, hook):
    await other_tenant(world)
    await attempts(world, hook.id, 3, NOW, failed=True)
    await attempts(world, hook.id, 2, NOW, failed=True, final=False)
    await attempts(world, hook.id, 2, NOW, failed=False)
    await attempts(world, hook.id, 4, NOW - HOUR, failed=True)
    assert await measure(world, AlertKind.EXHAUSTED) == Measure(3)
    assert await measure(world, AlertKind.EXHAUSTED, app_id=world.app.id) == Measure(3)
    assert await measure(world, AlertKind.EXHAUSTED, app_id="app_other") == Measure(0)


async def test_the_oldest_delivery_that_waits(world, hook):
    await other_tenant(world)
    assert await measure(world, AlertKind.OLDEST_WAITING, NOW) == Measure(0.0)
    await world.free(hook.id, due_at_ms=NOW + 10 * SECOND)
    await world.free(hook.id, due_at_ms=NOW + 20 * SECOND)
    assert await measure(world, AlertKind.OLDEST_WAITING, NOW) == Measure(0.0)
    assert await measure(world, AlertKind.OLDEST_WAITING, NOW + 25 * SECOND) == Measure(15.0)
    assert await measure(world, AlertKind.OLDEST_WAITING, NOW + 25 * SECOND, app_id="app_other") == Measure(0.0)


async def test_endpoints_that_are_disabled(world, hook):
    await other_tenant(world)
    requested, gone = await world.endpoint(), await world.endpoint()
    world.now_ms = NOW + 1
    await world.set_status(requested, EndpointStatus.DISABLED)
    assert await measure(world, AlertKind.ENDPOINT_DISABLED) == Measure(0)
    await world.write(disables=[Disable(world.app.id, hook.id, "failing"), Disable(world.app.id, gone.id, "gone")])
    assert await measure(world, AlertKind.ENDPOINT_DISABLED) == Measure(2)
    assert await measure(world, AlertKind.ENDPOINT_DISABLED, app_id="app_other") == Measure(0)
    world.now_ms = NOW + 2
    await world.set_status(hook, EndpointStatus.ENABLED)
    await world.store.delete_endpoint(world.scope, gone.id, NOW)
    assert await measure(world, AlertKind.ENDPOINT_DISABLED) == Measure(0)


async def test_the_operations_application_is_not_measured(world):
    operations = await world.store.create_operations_application(application(uid="operations"))
    theirs = World(world.store)
    theirs.app, theirs.node = operations, world.node
    hook = await theirs.endpoint()
    await attempts(theirs, hook.id, 3, NOW, failed=True)
    await theirs.free(hook.id, due_at_ms=NOW)
    await theirs.write(disables=[Disable(operations.id, hook.id, "gone")])
    for kind in AlertKind:
        assert (await measure(world, kind)).value == 0
    assert AppScope(ORG, operations.id) == theirs.scope


async def test_measuring_goes_by_indexes(database, world, hook):
    if database.name == "postgres":  # an empty table's plan says nothing; each partition must have the index
        count = "SELECT count(*) FROM pg_inherits WHERE inhparent = '{}'::regclass"
        partitions = await database.value(count.format("hookline_attempts"))
        indexes = await database.value(count.format("hookline_attempts_exhausted"))
        assert indexes == partitions > 1
        return
    plan = await database.fetch(
        "EXPLAIN QUERY PLAN SELECT 1 FROM hookline_attempts t "
        "WHERE t.app_id = 'a' AND t.id >= 'x' AND t.final = 1 AND t.status = 2"
    )
    assert "hookline_attempts_exhausted" in str(plan)
