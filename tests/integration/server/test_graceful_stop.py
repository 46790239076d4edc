"""Told to stop, a server finishes what it has begun, and the next one goes on with the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.server import Receiver, RunningServer, Tenant, settings_for


def test_what_is_in_flight_ends_before_the_server_does(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers.clear()
    with RunningServer(settings_for(tmp_path, shutdown_grace_s=15.0)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
        msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
        receiver.next()
        tenant.close()
        server.begin_stop()
        server.wait_until_refused()
        receiver.answers.set()
    attempts = attempts_after_restart(tmp_path, tenant, app_id, msg_id)
    assert [attempt["statusText"] for attempt in attempts] == ["success"]
    assert receiver.arrived.empty()


def test_what_does_not_end_in_time_goes_on_after_the_restart(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers.clear()
    with RunningServer(settings_for(tmp_path, shutdown_grace_s=0.2)) as server:
        tenant = Tenant(server)
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
        msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
        first = receiver.next()
        tenant.close()
    receiver.answers.set()
    attempts = attempts_after_restart(tmp_path, tenant, app_id, msg_id)
    assert attempts[0]["statusText"] == "success"
    assert receiver.next().headers["webhook-id"] == first.headers["webhook-id"] == msg_id


def attempts_after_restart(directory: Path, before: Tenant, app_id: str, msg_id: str) -> list[dict[str, Any]]:
    """The attempts of a message as the next server on this database shows them, once it was delivered."""
    with RunningServer(settings_for(directory)) as server:
        tenant = Tenant(server)
        client = tenant.http_with(before.token)
        found: list[dict[str, Any]] = []
        for _ in range(2_000):
            found = client.get(f"/app/{app_id}/attempt/msg/{msg_id}").json()["data"]
            if any(attempt["statusText"] == "success" for attempt in found):
                break
        tenant.close()
    return found
