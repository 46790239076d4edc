"""Calling tasks off through the API: whose, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.server import Tenant


def test_strangers_and_customers_cancel_nothing_of_others(tenant: Tenant, neighbour: Tenant) -> None:
    app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
    other_id = tenant.http.post("/app", json={"name": "Other"}).json()["id"]
    tenant.http.post(f"/app/{app_id}/endpoint", json={"url": "http://127.0.0.1:59999/x", "uid": "ep"})
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    recover = tenant.http.post(f"/app/{app_id}/endpoint/ep/recover", json={"since": since}).json()
    purge = tenant.http.post(f"/app/{app_id}/msg/expunge-all-contents").json()
    customer = tenant.http_with(tenant.app_token(app_id))
    sibling = tenant.http_with(tenant.app_token(other_id))
    for client, task, status in (
        (neighbour.http, recover, 404),
        (sibling, recover, 404),
        (customer, purge, 403),
        (customer, recover, 200),
        (tenant.http, purge, 200),
    ):
        assert client.post(f"/background-task/{task['id']}/cancel").status_code == status
    assert tenant.http.post("/background-task/qtask_unknown/cancel").status_code == 404
