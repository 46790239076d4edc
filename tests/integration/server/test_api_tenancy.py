"""Nobody sees or touches what is another's: every route, every kind of stranger."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from support.server import Receiver, Tenant

WINDOW = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/app/{app_id}/endpoint"): {"url": "http://127.0.0.1:59999/x"},
    ("put", "/app/{app_id}/endpoint/{endpoint_id}"): {"url": "http://127.0.0.1:59999/x"},
    ("patch", "/app/{app_id}/endpoint/{endpoint_id}"): {"description": "taken over"},
    ("post", "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate"): {},
    ("put", "/app/{app_id}/endpoint/{endpoint_id}/headers"): {"headers": {"X-Evil": "1"}},
    ("patch", "/app/{app_id}/endpoint/{endpoint_id}/headers"): {"headers": {"X-Evil": "1"}},
    ("patch", "/app/{app_id}/endpoint/{endpoint_id}/transformation"): {"code": "{evil: @}"},
    ("post", "/app/{app_id}/endpoint/{endpoint_id}/send-example"): {"eventType": "a.b"},
    ("post", "/app/{app_id}/endpoint/{endpoint_id}/recover"): WINDOW,
    ("post", "/app/{app_id}/endpoint/{endpoint_id}/replay-missing"): WINDOW,
    ("post", "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay"): WINDOW,
    ("post", "/app/{app_id}/msg"): {"eventType": "a.b", "payload": {}},
    ("put", "/app/{app_id}"): {"name": "taken over"},
    ("patch", "/app/{app_id}"): {"name": "taken over"},
    ("post", "/auth/app-portal-access/{app_id}"): {},
    ("post", "/auth/app/{app_id}/expire-all"): {},
}


class Owner:
    """An application with an endpoint, a message and an attempt, and how it looks from inside."""

    def __init__(self, tenant: Tenant, receiver: Receiver, uid: str) -> None:
        self.http = tenant.http
        self.uid = uid
        self.app_id = self.http.post("/app", json={"name": uid, "uid": uid}).json()["id"]
        url = f"{receiver.url}/200/{uid}"
        made = self.http.post(f"/app/{self.app_id}/endpoint", json={"url": url, "uid": f"{uid}-ep"})
        self.endpoint_id = made.json()["id"]
        content = {"eventType": "a.b", "payload": {"of": uid}, "eventId": f"{uid}-evt"}
        self.msg_id = self.http.post(f"/app/{self.app_id}/msg", json=content).json()["id"]
        receiver.next()
        attempts: list[dict[str, Any]] = []
        while not attempts:
            attempts = self.http.get(f"/app/{self.app_id}/attempt/msg/{self.msg_id}").json()["data"]
        self.attempt_id = attempts[0]["id"]

    def fill(self, path: str, app: str | None = None) -> str:
        values = {
            "app_id": app or self.app_id,
            "endpoint_id": self.endpoint_id,
            "msg_id": self.msg_id,
            "attempt_id": self.attempt_id,
        }
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)

    def photograph(self) -> list[Any]:
        app = f"/app/{self.app_id}"
        paths = [
            app,
            f"{app}/endpoint",
            f"{app}/endpoint/{self.endpoint_id}/secret",
            f"{app}/endpoint/{self.endpoint_id}/headers",
            f"{app}/msg",
            f"{app}/attempt/msg/{self.msg_id}",
        ]
        return [self.http.get(path).json() for path in paths]


def operations(tenant: Tenant) -> list[tuple[str, str]]:
    """Every operation of the API that names an application, from the description that the server itself gives."""
    description = httpx2.get(f"{tenant.server.url}/openapi.json").json()
    found = [
        (method, path.removeprefix("/api/v1"))
        for path, methods in description["paths"].items()
        for method in methods
        if "{app_id}" in path
    ]
    assert len(found) >= 20
    assert set(BODIES) <= set(found)
    return found


def test_another_organization_finds_nothing(tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
    owner = Owner(tenant, receiver, "victim")
    before = owner.photograph()
    for method, path in operations(tenant):
        for app in (owner.app_id, owner.uid):
            answer = neighbour.http.request(method, owner.fill(path, app), json=BODIES.get((method, path)))
            if (method, path) == ("put", "/app/{app_id}"):  # makes one of its own
                assert answer.status_code == 201
                assert answer.json()["id"] != owner.app_id
            else:
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
    assert owner.photograph() == before


@pytest.mark.parametrize("kind", ["token", "key"])
def test_another_application_finds_nothing(tenant: Tenant, receiver: Receiver, kind: str) -> None:
    owner, thief = Owner(tenant, receiver, "victim"), Owner(tenant, receiver, "thief")
    if kind == "token":
        client = tenant.http_with(tenant.app_token(thief.app_id))
    else:
        made = tenant.server.call(tenant.server.runtime.keys.create(tenant.org_id, name="k", app="thief"))
        client = tenant.http_with(made.text)
    before = owner.photograph()
    for method, path in operations(tenant):
        for app in (owner.app_id, owner.uid):
            answer = client.request(method, owner.fill(path, app), json=BODIES.get((method, path)))
            assert answer.status_code in {403, 404}, (method, path)
    assert owner.photograph() == before


def test_ids_of_another_do_not_work_in_ones_own_application(
    tenant: Tenant, neighbour: Tenant, receiver: Receiver
) -> None:
    owner = Owner(tenant, receiver, "victim")
    own_app = neighbour.http.post("/app", json={"name": "own"}).json()["id"]
    sibling_app = tenant.http.post("/app", json={"name": "sibling"}).json()["id"]
    before = owner.photograph()
    for method, path in operations(tenant):
        if "{endpoint_id}" not in path and "{msg_id}" not in path:
            continue
        if method == "put" and path.endswith("/endpoint/{endpoint_id}"):
            continue  # makes one of its own
        for client, app in ((neighbour.http, own_app), (tenant.http, sibling_app)):
            answer = client.request(method, owner.fill(path, app), json=BODIES.get((method, path)))
            assert answer.status_code == 404, (method, path)
    assert owner.photograph() == before


def test_a_pair_of_which_one_is_anothers_does_not_work(tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
    """In one's own application, with one's own message and another's endpoint, and the other way round."""
    owner = Owner(tenant, receiver, "victim")
    for mine in (Owner(neighbour, receiver, "stranger"), Owner(tenant, receiver, "sibling")):
        app = f"/app/{mine.app_id}"
        for endpoint in (owner.endpoint_id, "victim-ep"):
            assert mine.http.post(f"{app}/msg/{mine.msg_id}/endpoint/{endpoint}/resend").status_code == 404
            assert mine.http.get(f"{app}/attempt/msg/{mine.msg_id}?endpoint_id={endpoint}").status_code == 404
        for message in (owner.msg_id, "victim-evt"):
            assert mine.http.post(f"{app}/msg/{message}/endpoint/{mine.endpoint_id}/resend").status_code == 404
            assert mine.http.get(f"{app}/msg/{message}/attempt/{mine.attempt_id}").status_code == 404
        assert mine.http.get(f"{app}/msg/{mine.msg_id}/attempt/{owner.attempt_id}").status_code == 404
    assert receiver.arrived.empty()


def test_anothers_iterators_lead_to_nothing_of_theirs(tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
    owner = Owner(tenant, receiver, "victim")
    for mine in (Owner(neighbour, receiver, "stranger"), Owner(tenant, receiver, "sibling")):
        app = f"/app/{mine.app_id}"
        lists = {
            f"{app}/endpoint": (owner.endpoint_id, mine.endpoint_id),
            f"{app}/msg": (owner.msg_id, mine.msg_id),
            f"{app}/attempt/msg/{mine.msg_id}": (owner.attempt_id, mine.attempt_id),
            f"{app}/attempt/endpoint/{mine.endpoint_id}": (owner.attempt_id, mine.attempt_id),
            f"{app}/msg/{mine.msg_id}/endpoint": (owner.endpoint_id, mine.endpoint_id),
        }
        for path, (theirs, own) in lists.items():
            for iterator in (theirs, f"-{theirs}"):
                page = mine.http.get(f"{path}?iterator={iterator}").json()
                assert {item["id"] for item in page["data"]} <= {own}, path
    pages = [neighbour.http.get(f"/app?iterator={sign}{owner.app_id}").json()["data"] for sign in ("", "-")]
    assert owner.app_id not in {item["id"] for page in pages for item in page}


def test_nobody_comes_in_without_a_token(tenant: Tenant, receiver: Receiver) -> None:
    owner = Owner(tenant, receiver, "victim")
    before = owner.photograph()
    with httpx2.Client(base_url=f"{tenant.server.url}/api/v1", verify=False) as stranger:
        for method, path in [*operations(tenant), ("get", "/app"), ("post", "/app")]:
            answer = stranger.request(method, owner.fill(path), json=BODIES.get((method, path)))
            assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed"), (method, path)
    assert owner.photograph() == before


def test_uids_are_names_within_their_owner(tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
    one, two = Owner(tenant, receiver, "same"), Owner(neighbour, receiver, "same")
    looks: list[Callable[[Owner], str]] = [
        lambda owner: owner.http.get("/app/same").json()["id"],
        lambda owner: owner.http.get("/app/same/endpoint/same-ep").json()["id"],
        lambda owner: owner.http.get("/app/same/msg/same-evt").json()["id"],
    ]
    for look, names in zip(looks, ("app_id", "endpoint_id", "msg_id"), strict=True):
        assert (look(one), look(two)) == (getattr(one, names), getattr(two, names))
