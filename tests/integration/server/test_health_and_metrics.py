"""Health, metrics and documentation of a running server."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hookline.server.health import check_readiness
from hookline.server.lag import EVERY_S, LagMeter
from hookline.store import Store, StoreFullError, StoreUnavailableError
from support.server import Receiver, RunningServer, Tenant, settings_for


class Faulty:
    """A store whose methods fail on demand. What SQLite does not do by itself: be away for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.error: Exception | None = None
        self.exempt: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name in {"open", "close", "migrate", "subscribe"} or self.error is None:
            return found
        if name in self.exempt:
            return found

        async def fail(*_: object, **__: object) -> None:
            assert self.error is not None
            raise self.error

        return fail


class Guarded:
    """A server whose store can be made to fail."""

    def __init__(self, directory: Path) -> None:
        self.faults: list[Faulty] = []
        self.server = RunningServer(settings_for(directory), wrap_store=self._wrap)

    def _wrap(self, store: Store) -> Store:
        faulty = Faulty(store)
        self.faults.append(faulty)
        return faulty  # type: ignore[return-value]

    def fail(self, error: Exception | None, *, exempt: tuple[str, ...] = ()) -> None:
        self.faults[0].exempt = set(exempt)
        self.faults[0].error = error


def get(server: RunningServer, path: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}{path}", timeout=20)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/api/v1/health"])
def test_healthy(server: RunningServer, path: str) -> None:
    assert get(server, path).status_code == 200
    head = httpx2.head(f"{server.url}{path}", timeout=20)
    assert (head.status_code, head.content) == (200, b"")


def test_checks_are_named_on_demand(server: RunningServer) -> None:
    assert get(server, "/readyz").json() == {"status": "ok", "role": "all", "accepts_messages": True}
    checks = get(server, "/readyz?verbose").json()["checks"]
    assert checks == {"database": "ok", "migrations": "ok", "engine": "ok", "draining": "ok"}


def test_svix_health(server: RunningServer) -> None:
    assert get(server, "/api/v1/health").json()["database"] == {"status": "ok"}
    assert get(server, "/api/v1/health/ping").status_code == 204


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailableError("host db-17 refused"), 503, "database_unavailable"),
        (StoreFullError("no space on /data"), 507, "database_full"),
    ],
)
def test_a_store_that_fails(tmp_path: Path, error: Exception, status: int, code: str) -> None:
    guarded = Guarded(tmp_path)
    with guarded.server as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        message = {"eventType": "a.b", "payload": {}}
        assert tenant.http.post(f"/app/{app_id}/msg", json=message).status_code == 202
        guarded.fail(error, exempt=("renew_lease",))
        answers = [
            tenant.http.get("/app"),
            tenant.http.post("/app", json={"name": "B"}),
            tenant.http.get(f"/app/{app_id}/msg"),
            tenant.http.post(f"/app/{app_id}/msg", json=message),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert int(answer.headers["retry-after"]) >= 1
            assert "db-17" not in answer.text
            assert "/data" not in answer.text
        key = tenant.http_with("hk_" + "C" * 43).get("/app")
        assert key.status_code == status, "a key that cannot be looked up is neither right nor wrong"
        guarded.fail(None)
        until_ready(server)
        assert tenant.http.post(f"/app/{app_id}/msg", json=message).status_code == 202
        assert len(tenant.http.get(f"/app/{app_id}/msg").json()["data"]) == 2
        tenant.close()


def test_not_ready_without_the_database(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)
    with guarded.server as server:
        guarded.fail(StoreUnavailableError("host db-17 refused"), exempt=("renew_lease",))
        for path in ("/readyz", "/healthz", "/api/v1/health"):
            answer = get(server, path)
            assert (answer.status_code, set(answer.json()) >= {"code", "detail"}) == (503, True)
            assert "db-17" not in answer.text
        assert get(server, "/livez").status_code == 200
        assert get(server, "/metrics").status_code == 200
        guarded.fail(None)
        until_ready(server)


def until_ready(server: RunningServer) -> None:
    for _ in range(400):
        if get(server, "/readyz").status_code == 200:
            return
    raise AssertionError("not ready again")


def samples(server: RunningServer) -> dict[str, float]:
    text = get(server, "/metrics").text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_metrics(tmp_path: Path, receiver: Receiver) -> None:
    with RunningServer(settings_for(tmp_path)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
        for _ in range(3):
            tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}})
            receiver.next()
        for _ in range(200):
            found = samples(server)
            if found.get("hookline_delivery_latency_seconds_count") == 3:
                break
        assert found['hookline_messages_ingested_total{result="accepted"}'] == 3
        assert sum(value for name, value in found.items() if name.startswith("hookline_deliveries_total{")) == 3
        assert found['hookline_delivery_latency_seconds_bucket{le="+Inf"}'] == 3
        assert found["hookline_attempt_duration_seconds_count"] == 3
        assert found["hookline_accepting"] == 1
        assert found['hookline_endpoints{state="enabled"}'] == 1
        assert found['hookline_endpoints{state="disabled"}'] == 0
        assert 0 <= found["hookline_loop_lag_seconds"] < 5
        assert found['hookline_blocked_requests_total{rule="address"}'] == 0
        assert found['hookline_backlog{state="due"}'] == 0
        assert found["hookline_oldest_pending_age_seconds"] == 0
        assert any(name.startswith("hookline_build_info{version=") for name in found)
        tenant.close()


def test_metrics_do_not_grow_with_what_callers_send(server: RunningServer, tenant: Tenant) -> None:
    """No name that a caller chooses becomes a label: hostile ones could fill the memory of who scrapes."""
    before = set(samples(server))
    for number in range(20):
        app_id = tenant.http.post("/app", json={"name": f"n{number}", "uid": f"metric-uid-{number}"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/msg", json={"eventType": f"metric.type{number}", "payload": {}})
        tenant.http.get(f"/metric-path-{number}")
        tenant.http.request(f"METRIC{number}", "/app")
    after = set(samples(server))
    assert not [name for name in after if "metric" in name.lower() and name not in before]
    assert len(after - before) < 10


def test_a_refused_address_counts_as_blocked(tmp_path: Path) -> None:
    with RunningServer(settings_for(tmp_path)) as server:  # allowed once ...
        before = Tenant(server)
        app_id = before.http.post("/app", json={"name": "App"}).json()["id"]
        made = before.http.post(f"/app/{app_id}/endpoint", json={"url": "https://127.0.0.1:59999/x"})
        assert made.status_code == 201
        before.close()
    with RunningServer(settings_for(tmp_path, egress_allow="")) as server:  # ... and no more
        tenant = Tenant(server)
        client = tenant.http_with(before.token)
        client.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}})
        found: dict[str, float] = {}
        for _ in range(400):
            found = samples(server)
            if found['hookline_blocked_requests_total{rule="address"}']:
                break
        tenant.close()
    assert found['hookline_blocked_requests_total{rule="address"}'] >= 1
    assert found['hookline_blocked_requests_total{rule="port"}'] == 0


async def test_a_late_loop_shows() -> None:
    meter = LagMeter()
    assert meter.worst_s == 0
    meter.start()
    time.sleep(EVERY_S + 0.3)  # the loop itself is kept busy
    while meter.worst_s == 0:
        await asyncio.sleep(0)
    assert 0.2 < meter.worst_s < 20
    meter.stop()


def test_a_worker_says_what_it_does_and_refuses_messages(tmp_path: Path, receiver: Receiver) -> None:
    with RunningServer(settings_for(tmp_path, role="worker")) as server:
        tenant = Tenant(server)
        ready = get(server, "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ok", "role": "worker", "accepts_messages": False})
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        for _ in range(2):
            answer = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}})
            assert (answer.status_code, answer.json()["code"]) == (503, "not_offered_here")
            assert "worker" in answer.json()["detail"]
            assert answer.headers["retry-after"] == "1"
        brought = {"eventType": "a.b", "payload": {}, "application": {"name": "New", "uid": "new"}}
        assert tenant.http.post("/app/new/msg", json=brought).status_code == 503
        assert tenant.http.get("/app/new").status_code == 404
        tenant.close()


def test_not_ready_as_soon_as_it_is_told_to_stop(tmp_path: Path) -> None:
    with RunningServer(settings_for(tmp_path)) as server:
        assert server.call(check_readiness(server.runtime))["draining"] == "ok"
        server.begin_stop()
        assert server.call(check_readiness(server.runtime))["draining"] == "stopping"


def test_many_who_ask_at_once_share_one_question(tmp_path: Path) -> None:
    asked: list[int] = []

    class Counted:
        """The store, with its pings counted and held until all have asked."""

        def __init__(self, store: Store) -> None:
            self._store = store
            self.release = asyncio.Event()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def ping(self) -> None:
            asked.append(1)
            await self.release.wait()
            await self._store.ping()

    async def ask_all(server: RunningServer) -> list[dict[str, str]]:
        questions = [asyncio.ensure_future(check_readiness(server.runtime)) for _ in range(50)]
        while not asked:
            await asyncio.sleep(0)
        server.runtime.store.release.set()  # type: ignore[attr-defined]
        return await asyncio.gather(*questions)

    with RunningServer(settings_for(tmp_path), wrap_store=Counted) as server:  # type: ignore[arg-type]
        found = server.call(ask_all(server))
        assert [checks["database"] for checks in found] == ["ok"] * 50
        assert len(asked) == 1


def test_switches(tmp_path: Path) -> None:
    with RunningServer(settings_for(tmp_path, metrics_enabled=False, docs_enabled=False)) as server:
        for path in ("/metrics", "/docs", "/openapi.json"):
            assert (get(server, path).status_code, get(server, path).json()["code"]) == (404, "not_found")


def test_documentation_needs_nothing_from_elsewhere(server: RunningServer) -> None:
    page = get(server, "/docs")
    assert page.status_code == 200
    sources = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        assert get(server, source).status_code == 200


def test_the_description_of_the_api(server: RunningServer) -> None:
    description = get(server, "/openapi.json").json()
    identifiers = [operation["operationId"] for path in description["paths"].values() for operation in path.values()]
    assert len(identifiers) == len(set(identifiers))
    assert {"v1.application.create", "v1.message.create", "v1.message-attempt.resend"} <= set(identifiers)
    created = description["paths"]["/api/v1/app/{app_id}/msg"]["post"]
    reference = created["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = description["components"]["schemas"][reference.rpartition("/")[2]]
    assert "eventType" in schema["properties"]
    for path, operations in description["paths"].items():
        if path.startswith("/api/v1/app"):
            for operation in operations.values():
                assert operation["security"], path
