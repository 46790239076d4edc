"""`Idempotency-Key` on every POST but that of messages: done once, answered as often as it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hookline.clock import ManualClock
from hookline.model import Application
from hookline.services import idempotency
from hookline.store import StoreUnavailableError
from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, RunningServer, Tenant, settings_for

KEY = {"idempotency-key": "k-1"}
URL = "http://127.0.0.1:59999/x"


def make(tenant: Tenant, **body: Any) -> str:
    made: str = tenant.http.post("/app", json={"name": "App", **body}).json()["id"]
    return made


def count(tenant: Tenant) -> int:
    return len(tenant.http.get("/app").json()["data"])


def test_the_same_request_again_is_answered_as_before(tenant: Tenant) -> None:
    first, again, quoted = (
        tenant.http.post("/app", json={"name": "A"}, headers={"idempotency-key": key}) for key in ("k", "k", '"k"')
    )
    assert (first.status_code, first.content) == (again.status_code, again.content) == (201, quoted.content)
    assert [one.headers.get("idempotent-replayed") for one in (first, again, quoted)] == [None, "true", "true"]
    assert [one.headers["location"] for one in (again, quoted)] == [first.headers["location"]] * 2
    assert again.headers["content-type"] == "application/json"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert count(tenant) == 1


@pytest.mark.parametrize(
    ("path", "body"), [("/app", {"name": "B"}), ("/app?get_if_exists=true", {"name": "A"}), ("/app", {})]
)
def test_another_request_under_the_key_is_refused(tenant: Tenant, path: str, body: dict[str, Any]) -> None:
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).status_code == 201
    answer = tenant.http.post(path, json=body, headers=KEY)
    assert answer.status_code == 422
    [problem] = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["header", "idempotency-key"], "idempotency_key_reused")
    assert count(tenant) == 1


def test_a_key_is_a_name_within_its_path_and_its_caller(tenant: Tenant, neighbour: Tenant) -> None:
    apps = [make(tenant), make(tenant)]
    token = tenant.http_with(tenant.app_token(apps[0]))
    another = tenant.http_with(tenant.app_token(apps[0]))
    key = tenant.http_with(
        tenant.server.call(tenant.server.runtime.keys.create(tenant.org_id, name="k", app=apps[0])).text
    )
    asked = [(tenant.http, apps[0]), (tenant.http, apps[1]), (token, apps[0]), (another, apps[0]), (key, apps[0])]
    for _ in range(2):
        ids = [
            client.post(f"/app/{app}/endpoint", json={"url": URL}, headers=KEY).json()["id"] for client, app in asked
        ]
        assert len(set(ids)) == 5
    assert neighbour.http.post("/app", json={"name": "A"}, headers=KEY).headers.get("idempotent-replayed") is None
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).headers.get("idempotent-replayed") is None
    assert len(tenant.http.get(f"/app/{apps[0]}/endpoint").json()["data"]) == 4


def test_what_failed_may_be_tried_again(tenant: Tenant) -> None:
    make(tenant, uid="taken")
    body = {"name": "A", "uid": "taken"}
    for _ in range(2):
        answer = tenant.http.post("/app", json=body, headers=KEY)
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (409, None)
    tenant.http.delete("/app/taken")
    assert tenant.http.post("/app", json=body, headers=KEY).status_code == 201
    assert tenant.http.post("/app", content=b"{", headers={"idempotency-key": "2"}).status_code == 422
    assert tenant.http.post("/app", json=body | {"uid": "x"}, headers={"idempotency-key": "2"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 257, "\xe9", '""', "a\tb"])
def test_keys_that_are_none(tenant: Tenant, key: str) -> None:
    answer = tenant.http.post("/app", json={"name": "A"}, headers={"idempotency-key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["header", "idempotency-key"])


def test_several_keys_are_refused(tenant: Tenant) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    assert tenant.http.post("/app", json={"name": "A"}, headers=headers).status_code == 422
    assert count(tenant) == 0


def test_only_posts_have_keys(tenant: Tenant) -> None:
    app_id = make(tenant)
    for name in ("B", "C"):
        assert tenant.http.patch(f"/app/{app_id}", json={"name": name}, headers=KEY).json()["name"] == name
    assert tenant.http.get("/app", headers=KEY).headers.get("idempotent-replayed") is None


def test_answers_without_a_body_are_kept_as_well(tenant: Tenant) -> None:
    app_id = make(tenant)
    answers = [tenant.http.post(f"/auth/app/{app_id}/expire-all", json={}, headers=KEY) for _ in range(2)]
    assert [(one.status_code, one.content) for one in answers] == [(204, b"")] * 2
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert "content-length" not in answers[1].headers
    access = [tenant.http.post(f"/auth/dashboard-access/{app_id}", headers=KEY) for _ in range(2)]
    assert access[0].json() == access[1].json()
    assert access[1].headers["cache-control"] == "no-store"


def test_secrets_are_not_lost_to_a_retry(tenant: Tenant) -> None:
    path = f"/app/{make(tenant)}/endpoint"
    path += "/" + tenant.http.post(path, json={"url": URL}).json()["id"] + "/secret"
    rotated = [tenant.http.post(f"{path}/rotate", json={}, headers=KEY).json() for _ in range(2)]
    assert rotated[0] == rotated[1] == tenant.http.get(path).json()


def test_a_caller_that_may_not_any_more_gets_no_old_answer(tenant: Tenant) -> None:
    app_id = make(tenant)
    client = tenant.http_with(tenant.app_token(app_id))
    path = f"/app/{app_id}/endpoint"
    assert client.post(path, json={"url": URL}, headers=KEY).status_code == 201
    assert client.post("/auth/logout", headers={"idempotency-key": "bye"}).status_code == 204
    assert client.post(path, json={"url": URL}, headers=KEY).status_code == 401


def test_done_once_however_many_ask_at_once(tenant: Tenant) -> None:
    def ask(_: int) -> httpx2.Response:
        return tenant.http.post("/app", json={"name": "A"}, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert count(tenant) == 1
    refused = [one for one in answers if one.status_code != 201]
    assert {one.content for one in answers if one.status_code == 201} == {ask(0).content}
    assert {(one.status_code, one.json()["code"]) for one in refused} <= {(409, "request_in_progress")}
    assert all(one.headers["retry-after"] == "1" for one in refused)


class Gate:
    """Holds `create_application` up, or lets it fail, as a test wants."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.refuses: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in self.refuses:
            return self._refuse
        return getattr(self._store, name)

    async def _refuse(self, *_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("a test says no")

    async def create_application(self, application: Application) -> Application:
        self.entered.set()
        await self.go_on.wait()
        made: Application = await self._store.create_application(application)
        return made


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[Tenant, Gate]]:
    gates: list[Gate] = []

    def wrap(store: Any) -> Any:
        gates.append(Gate(store))
        return gates[0]

    with RunningServer(settings_for(tmp_path), wrap_store=wrap) as server:
        tenant = Tenant(server)
        yield tenant, gates[0]
        tenant.close()


def test_while_the_first_is_at_work_others_are_told_to_wait(gated: tuple[Tenant, Gate]) -> None:
    tenant, gate = gated

    async def hold() -> None:
        gate.go_on.clear()

    async def let_go() -> None:
        gate.go_on.set()

    tenant.server.call(hold())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(tenant.http.post, "/app", json={"name": "A"}, headers=KEY)
        tenant.server.call(gate.entered.wait())
        second = tenant.http.post("/app", json={"name": "A"}, headers=KEY)
        assert (second.status_code, second.headers["retry-after"]) == (409, "1")
        assert tenant.http.post("/app", json={"name": "B"}, headers=KEY).status_code == 422
        tenant.server.call(let_go())
        assert first.result().status_code == 201
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).headers["idempotent-replayed"] == "true"


def test_without_the_database_nothing_is_done(gated: tuple[Tenant, Gate]) -> None:
    tenant, gate = gated
    gate.refuses = {"claim_answer"}
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).status_code == 503
    gate.refuses = set()
    assert count(tenant) == 0
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).status_code == 201


def test_what_was_done_is_said_even_if_it_cannot_be_kept(
    gated: tuple[Tenant, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies between doing and keeping looks the same: a claim that nobody ends."""
    tenant, gate = gated
    gate.refuses = {"keep_answer", "release_answer"}
    monkeypatch.setattr(idempotency, "AT_WORK_S", 2.0)
    assert tenant.http.post("/app", json={"name": "A"}, headers=KEY).status_code == 201
    gate.refuses = set()
    statuses = []
    while 201 not in statuses:
        statuses.append(tenant.http.post("/app", json={"name": "A"}, headers=KEY).status_code)
    assert set(statuses) == {201, 409}
    assert count(tenant) == 2  # done again, and visibly so


@pytest.mark.parametrize(("key", "lifetime_s"), [("k", 12 * 3_600), ("auto_k", 900)])
def test_answers_are_kept_for_as_long_as_their_key_says(
    gated: tuple[Tenant, Gate], monkeypatch: pytest.MonkeyPatch, key: str, lifetime_s: int
) -> None:
    tenant, _ = gated
    start_ms = tenant.server.runtime.clock.now_ms()

    def ask(after_s: float) -> str | None:
        monkeypatch.setattr(tenant.server.runtime.idempotency, "_clock", ManualClock(start_ms + round(after_s * 1000)))
        answer = tenant.http.post("/app", json={"name": "A"}, headers={"idempotency-key": key})
        assert answer.status_code == 201
        replayed: str | None = answer.headers.get("idempotent-replayed")
        return replayed

    assert [ask(0), ask(lifetime_s - 1), ask(lifetime_s + 1)] == [None, "true", None]


def test_a_large_answer_is_not_kept(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWER_BYTES", 100)
    for _ in range(2):
        answer = tenant.http.post("/app", json={"name": "A" * 200}, headers=KEY)
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (201, None)


def test_another_node_knows_the_answer(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dsn = postgres_server.dsn(postgres_server.create_database())
    settings = settings_for(tmp_path_factory.mktemp("nodes"), database_url=dsn, **POSTGRES_SECRETS)
    with RunningServer(settings) as one, RunningServer(settings) as two:
        here, there = Tenant(one), Tenant(two)
        there.org_id = here.org_id
        other = there.http_with(here.token)
        first = here.http.post("/app", json={"name": "A"}, headers=KEY)
        again = other.post("/app", json={"name": "A"}, headers=KEY)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
        for tenant in (here, there):
            tenant.close()
