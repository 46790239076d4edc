"""Nobody sees or touches what is another's: pairs, iterators, uids. Every operation: see `test_tenant_isolation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.server import Receiver, Tenant


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


def test_uids_are_names_within_their_owner(tenant: Tenant, neighbour: Tenant, receiver: Receiver) -> None:
    one, two = Owner(tenant, receiver, "same"), Owner(neighbour, receiver, "same")
    looks: list[Callable[[Owner], str]] = [
        lambda owner: owner.http.get("/app/same").json()["id"],
        lambda owner: owner.http.get("/app/same/endpoint/same-ep").json()["id"],
        lambda owner: owner.http.get("/app/same/msg/same-evt").json()["id"],
    ]
    for look, names in zip(looks, ("app_id", "endpoint_id", "msg_id"), strict=True):
        assert (look(one), look(two)) == (getattr(one, names), getattr(two, names))
