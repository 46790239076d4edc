"""The checks that an organization switches on: on both ways into the server, for endpoints, and for the outbox."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from support.server import PATIENCE_S, POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for
from support.wire import Wire, request

SCHEMA = {"type": "object", "required": ["id"], "properties": {"user_name": {"items": {"type": "integer"}}}}
HOT, LONG = "msg", "%6dsg"  # the path with an escaped letter goes through the framework


@pytest.fixture
def app_id(tenant: Tenant) -> str:
    app_id: str = tenant.http.post("/app", json={"name": "App", "uid": "app"}).json()["id"]
    return app_id


def send(tenant: Tenant, app_id: str, way: str, event_type: str, payload: Any) -> tuple[bool, int, Any]:
    """Whether it was answered on the connection itself, the status, and the body. Known callers go that way."""
    body = json.dumps({"eventType": event_type, "payload": payload}).encode()
    path = f"/api/v1/app/{app_id}/{way}"
    with Wire(tenant.server.port) as wire:
        wire.send(request("POST", path, [("authorization", f"Bearer {tenant.token}")], body))
        (answer,) = wire.answers()
    return len(answer.headers["x-request-id"]) == 16, answer.status, json.loads(answer.body)


def locations(body: Any) -> list[list[Any]]:
    return [problem["loc"] for problem in body["detail"]]


@pytest.fixture(params=[HOT, LONG])
def sent(request: pytest.FixtureRequest, tenant: Tenant, app_id: str) -> Callable[..., tuple[int, Any]]:
    """Send one way or the other, and see that it was that way."""

    def do(event_type: str, payload: Any) -> tuple[int, Any]:
        send(tenant, app_id, LONG, event_type, payload)  # from now on everything is in memory
        was_hot, status, body = send(tenant, app_id, request.param, event_type, payload)
        assert was_hot is (request.param == HOT)
        return status, body

    return do


def test_unknown_and_archived_types_are_refused_when_that_is_wanted(tenant: Tenant, sent: Any) -> None:
    tenant.http.post("/event-type", json={"name": "user.signup", "description": ""})
    assert sent("user.sigup", {})[0] == 202
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    assert sent("user.signup", {})[0] == 202
    status, body = sent("user.sigup", {})
    assert (status, locations(body)) == (422, [["body", "eventType"]])
    tenant.http.delete("/event-type/user.signup")
    assert sent("user.signup", {})[0] == 422
    tenant.http.post("/event-type", json={"name": "user.signup", "description": ""})
    assert sent("user.signup", {})[0] == 202
    tenant.http.patch("/settings", json={"eventTypeCheck": None})
    assert sent("user.sigup", {})[0] == 202


def test_payloads_are_validated_by_the_newest_schema_when_that_is_wanted(tenant: Tenant, sent: Any) -> None:
    schemas = {"1": {"required": ["old"]}, "2": SCHEMA}
    tenant.http.post("/event-type", json={"name": "user.signup", "description": "", "schemas": schemas})
    assert sent("user.signup", {})[0] == 202
    tenant.http.patch("/settings", json={"schemaValidation": "on"})
    assert sent("user.signup", {"id": 1})[0] == 202
    assert sent("no.schema", {})[0] == 202
    status, body = sent("user.signup", {"user_name": [1, "two"]})
    assert status == 422
    assert sorted(locations(body)) == [["body", "payload"], ["body", "payload", "user_name", 1]]
    assert {problem["type"] for problem in body["detail"]} == {"json_schema"}
    tenant.http.patch("/event-type/user.signup", json={"schemas": {"1": {}}})
    assert sent("user.signup", {})[0] == 202


def test_what_is_refused_leaves_nothing(tenant: Tenant, app_id: str) -> None:
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    send(tenant, app_id, HOT, "a", {})
    assert tenant.http.get(f"/app/{app_id}/msg").json()["data"] == []
    answer = tenant.http.post(
        "/app/new/msg",
        json={"eventType": "a", "payload": {}, "application": {"name": "New", "uid": "new"}},
    )
    assert answer.status_code == 422
    assert tenant.http.get("/app/new").status_code == 404, "no application for the sake of a message that is refused"


def test_one_organization_checks_nothing_for_another(tenant: Tenant, neighbour: Tenant, app_id: str) -> None:
    other = neighbour.http.post("/app", json={"name": "App"}).json()["id"]
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    for _ in range(2):
        assert send(tenant, app_id, HOT, "a", {})[1] == 422
        assert send(neighbour, other, HOT, "a", {})[1] == 202


def test_endpoints_name_types_that_there_are(tenant: Tenant, app_id: str, receiver: Receiver) -> None:
    tenant.http.post("/event-type", json={"name": "order.created", "description": ""})
    url = f"{receiver.url}/200/x"
    path = f"/app/{app_id}/endpoint"
    early = tenant.http.post(path, json={"url": url, "uid": "early", "eventTypes": ["gone", "order.created"]})
    assert early.status_code == 201
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    answer = tenant.http.post(path, json={"url": url, "filterTypes": ["order.*", "odrer.*", "order.create", "*"]})
    assert answer.status_code == 422
    assert locations(answer.json()) == [["body", "eventTypes", 1], ["body", "eventTypes", 2]]
    good = tenant.http.post(path, json={"url": url, "eventTypes": ["order.*", "order.created", "endpoint.disabled"]})
    assert good.status_code == 201
    kept = tenant.http.patch(f"{path}/early", json={"description": "still there"})
    assert (kept.status_code, kept.json()["eventTypes"]) == (200, ["gone", "order.created"])
    body = {"url": url, "uid": "early", "eventTypes": ["gone", "order.created"]}
    assert tenant.http.put(f"{path}/early", json=body).status_code == 200
    body["eventTypes"].append("lost")
    assert locations(tenant.http.put(f"{path}/early", json=body).json()) == [["body", "eventTypes", 2]]


async def put_into_outbox(url: str, rows: list[tuple[str, str, str, bytes]]) -> None:
    sql = "INSERT INTO hookline_outbox (org_id, app, event_type, payload) VALUES "
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=PATIENCE_S)
        connection.executemany(f"{sql}(?, ?, ?, ?)", rows)
        connection.close()
    else:
        postgres = await asyncpg.connect(url)
        await postgres.executemany(f"{sql}($1, $2, $3, $4)", rows)
        await postgres.close()


async def refused_rows(url: str, org_id: str) -> list[tuple[str, str]]:
    where = "org_id = {} AND refused_at_ms IS NOT NULL ORDER BY id"
    return await fetch(url, f"SELECT event_type, error FROM hookline_outbox WHERE {where}", org_id)


async def fetch(url: str, sql: str, org_id: str) -> list[Any]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=PATIENCE_S)
        rows = connection.execute(sql.format("?"), (org_id,)).fetchall()
        connection.close()
        return rows
    postgres = await asyncpg.connect(url)
    found = [tuple(row) for row in await postgres.fetch(sql.format("$1"), org_id)]
    await postgres.close()
    return found


async def test_the_outbox_obeys_the_same_checks(tenant: Tenant, app_id: str) -> None:
    url = tenant.server.runtime.settings.database_url.get_secret_value()
    tenant.http.post("/event-type", json={"name": "user.signup", "description": "", "schemas": {"1": SCHEMA}})
    tenant.http.patch("/settings", json={"eventTypeCheck": "known", "schemaValidation": "on"})
    rows = [("user.sigup", b"{}"), ("user.signup", b'{"id":1,"user_name":["x"]}'), ("user.signup", b'{"id":2}')]
    await put_into_outbox(url, [(tenant.org_id, app_id, event_type, payload) for event_type, payload in rows])
    until = time.monotonic() + PATIENCE_S
    while len(refused := await refused_rows(url, tenant.org_id)) < 2:
        assert time.monotonic() < until
    assert [event_type for event_type, _ in refused] == ["user.sigup", "user.signup"]
    assert "event_type: This event type is unknown" in refused[0][1]
    assert "payload/user_name/0" in refused[1][1]
    while not (messages := tenant.http.get(f"/app/{app_id}/msg").json()["data"]):
        assert time.monotonic() < until
    assert [message["payload"] for message in messages] == [{"id": 2}]


async def test_payloads_from_the_outbox_are_kept_no_longer_than_others(tenant: Tenant, app_id: str) -> None:
    url = tenant.server.runtime.settings.database_url.get_secret_value()
    assert tenant.http.patch("/settings", json={"payloadRetentionDays": 3}).status_code == 200
    tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "by.request", "payload": {}})
    await put_into_outbox(url, [(tenant.org_id, app_id, "by.outbox", b"{}")])
    until = time.monotonic() + PATIENCE_S
    while len(tenant.http.get(f"/app/{app_id}/msg").json()["data"]) < 2:
        assert time.monotonic() < until
    sql = "SELECT event_type, payload_expires_at_ms - created_at_ms FROM hookline_messages WHERE org_id = {}"
    kept = dict(await fetch(url, sql, tenant.org_id))
    assert kept == {name: pytest.approx(3 * 86_400_000, abs=60_000) for name in ("by.request", "by.outbox")}


@pytest.fixture
def two_nodes(tmp_path: Any, postgres_server: Any) -> Iterator[tuple[RunningServer, RunningServer]]:
    changes = {"database_url": postgres_server.dsn(postgres_server.create_database()), **POSTGRES_SECRETS}
    with (
        RunningServer(settings_for(tmp_path, **changes)) as one,
        RunningServer(settings_for(tmp_path, **changes)) as two,
    ):
        yield one, two


def test_a_node_hears_what_another_one_changed(two_nodes: tuple[RunningServer, RunningServer]) -> None:
    one, two = (Tenant(server) for server in two_nodes)
    two.org_id, two.token = one.org_id, one.token
    app_id = one.http.post("/app", json={"name": "App"}).json()["id"]
    assert [send(two, app_id, way, "a", {})[1] for way in (LONG, HOT)] == [202, 202]
    one.http.patch("/settings", json={"eventTypeCheck": "known"})
    changed_s = time.monotonic()
    while send(two, app_id, HOT, "a", {})[1] != 422:
        assert time.monotonic() - changed_s < PATIENCE_S
    one.http.put("/event-type/a", json={"description": ""})
    while send(two, app_id, HOT, "a", {})[1] != 202:
        assert time.monotonic() - changed_s < PATIENCE_S
    one.close()
    two.close()
