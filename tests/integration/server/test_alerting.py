"""Alerting: what people are told, how often, and that a notifier which fails holds up nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from hookline.clock import ManualClock
from hookline.engine.lease import Lease
from hookline.model import Application
from hookline.model.alerts import AlertKind, AlertRule, AlertState, Measure
from hookline.services import Alerting
from hookline.services.alerting import CHUNK
from hookline.services.notifier import MemoryNotifier
from hookline.store import Disable, OrgScope, Store, StoreUnavailableError, create_store
from support.server import Receiver, RunningServer, Tenant, settings_for
from support.store import NOW, ORG, World, endpoint, new_id


class Desk:
    """A store in memory, a notifier that keeps what it is given, and an endpoint that may be disabled."""

    def __init__(self, store: Store, clock: ManualClock, world: World) -> None:
        self.store = store
        self.clock = clock
        self.world = world
        self.notifier = MemoryNotifier(["team", "on-call"])
        self.alerting = self.make()

    def make(self) -> Alerting:
        lease = Lease(self.clock, 1e9)
        lease.renewed(self.world.node, self.clock.monotonic_s())
        return Alerting(self.store, lease, self.notifier, self.clock, try_again_after_s=(0.001, 0.001))

    async def rule(self, **changes: Any) -> AlertRule:
        fields = {
            "id": new_id("alert"),
            "org_id": ORG,
            "app_id": None,
            "name": "Endpoints",
            "kind": AlertKind.ENDPOINT_DISABLED,
            "threshold": 1.0,
            "window_ms": 60_000,
            "least": 1,
            "notify": ("team",),
            "renotify_ms": None,
            "enabled": True,
            "created_at_ms": NOW,
            "updated_at_ms": NOW,
            "changed_at_ms": NOW,
            "told_at_ms": NOW,
        }
        return await self.store.create_alert_rule(AlertRule(**{**fields, **changes}))

    async def break_something(self) -> None:
        self.hook = await self.store.create_endpoint(endpoint(self.world.app.id))
        await self.world.write(disables=[Disable(self.world.app.id, self.hook.id, "failing")])

    async def repair(self) -> None:
        await self.store.delete_endpoint(self.world.scope, self.hook.id, self.clock.now_ms())

    async def round(self, alerting: Alerting | None = None) -> None:
        self.clock.advance(1)
        one = alerting or self.alerting
        await one.work()
        await one.idle()

    @property
    def titles(self) -> list[str]:
        return [f"{name}: {sent.title}" for name, sent in self.notifier.sent]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = ManualClock(NOW)
    store = create_store("sqlite:///:memory:", key_ring=None, clock=clock)
    await store.migrate()
    await store.open(engine=True)
    yield Desk(store, clock, await World(store).build())
    await store.close()


async def test_it_fires_once_and_resolves_once(desk):
    await desk.rule(notify=("team", "on-call"))
    await desk.round()
    assert desk.titles == []
    await desk.break_something()
    for _ in range(3):
        await desk.round()
    assert sorted(desk.titles) == ["on-call: Alert: Endpoints", "team: Alert: Endpoints"]
    assert desk.notifier.sent[0][1].body.startswith("1 endpoint is disabled, and not by request.")
    await desk.repair()
    for _ in range(3):
        await desk.round()
    assert sorted(desk.titles[2:]) == ["on-call: Resolved: Endpoints", "team: Resolved: Endpoints"]
    assert desk.alerting.notified == {"sent": 4}


async def test_it_says_it_again_while_it_lasts(desk):
    await desk.rule(renotify_ms=60_000)
    await desk.break_something()
    for _ in range(3):
        await desk.round()
    assert len(desk.titles) == 1
    desk.clock.advance(60)
    await desk.round()
    await desk.round()
    assert desk.titles == ["team: Alert: Endpoints"] * 2


async def test_a_notifier_that_fails_is_tried_again_and_given_up(desk):
    rule = await desk.rule(notify=("team", "on-call"))
    desk.notifier.broken.add("team")
    await desk.break_something()
    await desk.round()
    assert desk.titles == ["on-call: Alert: Endpoints"]  # once: it got through the first time
    assert desk.alerting.notified == {"sent": 1, "failed": 3}
    desk.notifier.broken.clear()
    await desk.round()
    assert len(desk.titles) == 1  # given up: what is next to say is said
    assert (await desk.store.get_alert_rule(OrgScope(ORG), rule.id)).state is AlertState.FIRING
    await desk.repair()
    await desk.round()
    assert "team: Resolved: Endpoints" in desk.titles


async def test_a_notifier_that_is_gone_holds_up_nothing(desk):
    await desk.rule(notify=("gone", "team"))
    await desk.break_something()
    await desk.round()
    assert desk.titles == ["team: Alert: Endpoints"]
    assert desk.alerting.notified == {"sent": 1, "failed": 1}


async def test_what_was_not_told_is_told_by_the_next_node(desk):
    """The change was written, and the node died before anybody was told."""
    rule = await desk.rule()
    await desk.break_something()
    desk.clock.advance(1)
    fired = msgspec.structs.replace(rule, state=AlertState.FIRING)
    await desk.store._writer.run(
        lambda c: c.execute(
            "UPDATE hookline_alert_rules SET state = 'firing', changed_at_ms = ?", (desk.clock.now_ms(),)
        )
    )
    await desk.round(desk.make())
    assert desk.titles == ["team: Alert: Endpoints"]
    await desk.round()
    assert (len(desk.titles), fired.id) == (1, rule.id)


async def test_one_node_measures(desk):
    await desk.rule()
    await desk.break_something()
    other = await desk.store.register_node("node_other", 3600.0)
    assert await desk.store.take_lead("alerts", other, 60.0)
    await desk.round()
    assert desk.titles == []
    desk.clock.advance(61)
    await desk.round()
    assert desk.titles == ["team: Alert: Endpoints"]


async def test_all_rules_are_looked_at(desk):
    await desk.break_something()
    for _ in range(CHUNK + 5):
        await desk.rule()
    await desk.rule(enabled=False)
    await desk.round()
    assert len(desk.titles) == CHUNK + 5


async def test_a_rule_that_cannot_be_measured_holds_up_nothing(desk, monkeypatch):
    first, second = sorted([await desk.rule(), await desk.rule()], key=lambda rule: rule.id)
    measure = desk.store.measure_alert

    async def measure_all_but_the_first(rule: AlertRule, now_ms: int) -> Measure:
        if rule.id == first.id:
            raise StoreUnavailableError("PostgreSQL did not answer in time; try again")
        return await measure(rule, now_ms)

    monkeypatch.setattr(desk.store, "measure_alert", measure_all_but_the_first)
    await desk.break_something()
    await desk.round()
    assert len(desk.titles) == 1
    monkeypatch.undo()
    await desk.round()
    assert len(desk.titles) == 2
    assert (await desk.store.get_alert_rule(OrgScope(ORG), second.id)).state is AlertState.FIRING


async def test_who_measures_for_long_still_leads(desk):
    """The lead lasts for 45 s: it is renewed as the rounds go on, so that nobody else tells the same meanwhile."""
    for _ in range(CHUNK + 5):
        await desk.rule()
    other = await desk.store.register_node("node_other", 3600.0)
    measure, taken = desk.store.measure_alert, []

    async def measure_slowly(rule: AlertRule, now_ms: int) -> Measure:
        desk.clock.advance(0.44)
        if len(taken) == CHUNK + 4:
            assert not await desk.store.take_lead("alerts", other, 60.0)
        taken.append(rule.id)
        return await measure(rule, now_ms)

    desk.store.measure_alert = measure_slowly
    await desk.round()
    assert len(taken) == CHUNK + 5


# --- over the API


@pytest.fixture
def people(receiver: Receiver, tmp_path) -> Iterator[RunningServer]:
    """Give a server whose operator has set up two notifiers."""
    address = receiver.url.replace("http://", "json://")
    notifiers = {"team": f"{address}/200/people?password=s3cret", "broken": [f"{address}/500/people"]}
    settings = settings_for(tmp_path, notifiers=json.dumps(notifiers))
    assert "s3cret" not in repr(settings)
    with RunningServer(settings) as server:
        yield server


async def look_now(server: RunningServer) -> None:
    await server.runtime.alerting.work()
    await server.runtime.alerting.idle()


def test_an_alert_reaches_a_webhook_and_people(people, receiver):
    tenant = Tenant(people)
    tenant.http.post(
        "/operational-webhook/endpoint", json={"url": f"{receiver.url}/200/ops", "eventTypes": ["alert.*"]}
    )
    body = {"name": "Given up", "kind": "exhausted", "threshold": 1, "notify": ["team"]}
    made = tenant.http.post("/alert-rule", json=body).json()
    assert (made["state"], made["value"], made["windowS"], made["enabled"]) == ("ok", None, 300, True)
    app: Application = tenant.svix.application.create(_application())
    tenant.http.post(f"/app/{app.id}/endpoint", json={"url": f"{receiver.url}/500/customer"})
    tenant.http.post(f"/app/{app.id}/msg", json={"eventType": "a.b", "payload": {}})
    while tenant.http.get(f"/alert-rule/{made['id']}").json()["state"] == "ok":
        people.call(look_now(people))
    arrived = {}
    while arrived.keys() != {"people", "ops"}:
        one = receiver.next()
        arrived.setdefault(one.path.rpartition("/")[2].partition("?")[0], json.loads(one.body))
        arrived.pop("customer", None)
    assert arrived["ops"]["type"] == "alert.fired"
    assert arrived["ops"]["data"]["ruleId"] == made["id"]
    assert arrived["people"]["title"] == "Alert: Given up"
    assert arrived["people"]["message"].startswith(arrived["ops"]["data"]["detail"])
    tenant.close()


def _application() -> Any:
    from svix.api import ApplicationIn

    return ApplicationIn(name="Customer")


def test_rules_are_managed_over_the_api(people):
    tenant = Tenant(people)
    body = {
        "name": "Slow", "kind": "oldest_waiting", "threshold": 60, "notify": ["team"], "renotifyS": 3600, "least": 5,
        "windowS": 120,
    }  # fmt: skip
    answer = tenant.http.post("/alert-rule", json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"].endswith(f"/api/v1/alert-rule/{made['id']}")
    assert made.items() >= body.items()
    path = f"/alert-rule/{made['id']}"
    assert tenant.http.get(path).json() == made
    assert tenant.http.get("/alert-rule").json()["data"] == [made]
    patched = tenant.http.patch(path, json={"threshold": 90.5, "renotifyS": None}).json()
    assert (patched["threshold"], patched["renotifyS"], patched["name"]) == (90.5, None, "Slow")
    put = tenant.http.put(path, json={"name": "New", "kind": "exhausted", "threshold": 3}).json()
    assert (put["name"], put["kind"], put["notify"], put["windowS"]) == ("New", "exhausted", [], 300)
    assert tenant.http.delete(path).status_code == 204
    assert tenant.http.get(path).status_code == 404
    tenant.close()


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"kind": "weather"}, ["body", "kind"]),
        ({"threshold": 0}, ["body", "threshold"]),
        ({"threshold": 1.5}, ["body", "threshold"]),
        ({"windowS": 59}, ["body", "windowS"]),
        ({"least": 0}, ["body", "least"]),
        ({"renotifyS": 1}, ["body", "renotifyS"]),
        ({"notify": ["team", "nobody"]}, ["body", "notify", 1]),
        ({"notify": ["json://127.0.0.1/"]}, ["body", "notify", 0]),
        ({"appId": "nowhere"}, ["body", "appId"]),
        ({"name": ""}, ["body", "name"]),
    ],
)
def test_what_makes_no_rule(people, change, loc):
    tenant = Tenant(people)
    body = {"name": "Rate", "kind": "failure_rate", "threshold": 0.5, "notify": ["team"]}
    answer = tenant.http.post("/alert-rule", json={**body, **change})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [loc]
    tenant.close()


def test_an_application_may_not_and_neighbours_see_nothing(people):
    tenant, neighbour = Tenant(people), Tenant(people)
    made = tenant.http.post("/alert-rule", json={"name": "A", "kind": "exhausted", "threshold": 1}).json()
    app = tenant.svix.application.create(_application())
    customer = tenant.http_with(tenant.app_token(app.id))
    path = f"/alert-rule/{made['id']}"
    for caller, status in ((customer, 403), (neighbour.http, 404)):
        assert caller.get(path).status_code == status
        assert caller.patch(path, json={"threshold": 2}).status_code == status
        assert caller.delete(path).status_code == status
    assert neighbour.http.get("/alert-rule").json()["data"] == []
    body = {"name": "B", "kind": "exhausted", "threshold": 1, "appId": app.id}
    assert neighbour.http.post("/alert-rule", json=body).status_code == 422
    assert tenant.http.post("/alert-rule", json=body).json()["appId"] == app.id
    tenant.close()
    neighbour.close()
