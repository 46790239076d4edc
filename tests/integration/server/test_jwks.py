"""The published keys: enough to verify a delivery with nothing else, and nothing else in them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hookline.engine import OverloadedError
from hookline.model import ids
from hookline.services.key_sets import MAX_LOOKUPS, MAX_WAITING, KeySets
from hookline.signatures import generate_ed25519, thumbprint
from support.server import Delivered, Receiver, RunningServer, Tenant

ONE, TWO = generate_ed25519(b"1" * 32), generate_ed25519(b"2" * 32)


@pytest.fixture
def app(tenant: Tenant) -> str:
    return tenant.http.post("/app", json={"name": "App"}).json()["id"]


def make(tenant: Tenant, app: str, url: str, **members: Any) -> str:
    answer = tenant.http.post(f"/app/{app}/endpoint", json={"url": url, **members})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def secret(tenant: Tenant, app: str, endpoint: str) -> dict[str, Any]:
    return tenant.http.get(f"/app/{app}/endpoint/{endpoint}/secret").json()


def ask(server: RunningServer, query: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}/.well-known/jwks.json?{query}", headers=headers, timeout=20)


def verify(delivered: Delivered, keys: list[dict[str, str]]) -> list[str]:
    """As a receiver that knows Standard Webhooks and JWK, and has no library of ours: the names of keys that signed."""
    headers = delivered.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + delivered.body
    signed = []
    for key in keys:
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
        for signature in headers["webhook-signature"].split():
            version, _, text = signature.partition(",")
            try:
                public.verify(base64.b64decode(text), content)
            except InvalidSignature:
                continue
            assert version == "v1a"
            signed.append(key["kid"])
    return signed


def test_a_delivery_is_verified_with_nothing_but_the_published_keys(
    server: RunningServer, tenant: Tenant, app: str, receiver: Receiver
) -> None:
    endpoint = make(tenant, app, f"{receiver.url}/200/x", secret=ONE.to_text())
    told = secret(tenant, app, endpoint)
    assert told["key"] == ONE.verifying_key.to_text()
    assert told["kid"] == thumbprint(ONE.verifying_key)
    assert told["jwksUrl"].endswith(f"/.well-known/jwks.json?app={app}&endpoint={endpoint}")
    query = told["jwksUrl"].partition("?")[2]

    answer = ask(server, query)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    tenant.http.post(f"/app/{app}/msg", json={"eventType": "a.b", "payload": {"n": 1}})
    assert verify(receiver.next(), answer.json()["keys"]) == [told["kid"]]

    rotated = tenant.http.post(f"/app/{app}/endpoint/{endpoint}/secret/rotate", json={"key": TWO.to_text()}).json()
    assert rotated["kid"] == thumbprint(TWO.verifying_key)
    keys = ask(server, query).json()["keys"]
    assert [key["kid"] for key in keys] == [rotated["kid"], told["kid"]]
    tenant.http.post(f"/app/{app}/msg", json={"eventType": "a.b", "payload": {"n": 2}})
    delivered = receiver.next()
    assert verify(delivered, keys) == [rotated["kid"], told["kid"]]
    assert verify(delivered, answer.json()["keys"]) == [told["kid"]]  # who still has the old document is not left alone


def test_a_replaced_key_goes_when_it_no_longer_signs(
    server: RunningServer, tenant: Tenant, app: str, receiver: Receiver
) -> None:
    endpoint = make(tenant, app, f"{receiver.url}/200/x", secret=ONE.to_text())
    path = f"/app/{app}/endpoint/{endpoint}/secret/rotate"
    tenant.http.post(path, json={"key": TWO.to_text(), "gracePeriodSeconds": 0})
    keys = ask(server, f"app={app}&endpoint={endpoint}").json()["keys"]
    assert [key["kid"] for key in keys] == [thumbprint(TWO.verifying_key)]

    tenant.http.post(path, json={"key": ONE.to_text(), "gracePeriodSeconds": 60})
    answer = ask(server, f"app={app}&endpoint={endpoint}")
    assert len(answer.json()["keys"]) == 2
    assert 50 <= int(answer.headers["cache-control"].partition("max-age=")[2]) <= 60


def test_nothing_but_public_keys_is_in_it(server: RunningServer, tenant: Tenant, app: str, receiver: Receiver) -> None:
    endpoint = make(
        tenant,
        app,
        f"{receiver.url}/200/x",
        secret=ONE.to_text(),
        uid="main",
        description="private",
        headers={"X": "y"},
    )
    answer = ask(server, f"app={app}&endpoint={endpoint}")
    assert [sorted(key) for key in answer.json()["keys"]] == [["alg", "crv", "kid", "kty", "use", "x"]]
    for text in (ONE.to_text(), endpoint, app, "main", "private", receiver.url, tenant.org_id):
        assert text not in answer.text
    assert base64.urlsafe_b64encode(ONE.seed).rstrip(b"=").decode() not in answer.text


def test_what_has_no_keys_and_what_does_not_exist_look_the_same(
    server: RunningServer, tenant: Tenant, neighbour: Tenant, app: str, receiver: Receiver
) -> None:
    shared = make(tenant, app, f"{receiver.url}/200/x")
    told = secret(tenant, app, shared)
    assert (told["kid"], told["jwksUrl"]) == (None, None)
    signing = make(tenant, app, f"{receiver.url}/200/y", secret=ONE.to_text())
    other = neighbour.http.post("/app", json={"name": "Other"}).json()["id"]
    gone = make(tenant, app, f"{receiver.url}/200/z", secret=TWO.to_text())
    tenant.http.delete(f"/app/{app}/endpoint/{gone}")
    nothing = [
        (app, shared),
        (app, gone),
        (app, ids.new_id(ids.ENDPOINT)),
        (other, signing),
        (ids.new_id(ids.APPLICATION), signing),
        ("app_1", "ep_1"),
        ("' OR 1=1 --", "%00"),
    ]
    answers = [ask(server, f"app={a}&endpoint={e}") for a, e in nothing]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"keys":[]}')}
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.headers["cache-control"] for answer in answers}) == 1
    for query in ("", f"app={app}", f"endpoint={signing}"):
        refused = ask(server, query)
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"][0] == "query"


def test_a_document_that_has_not_changed_is_not_sent_again(
    server: RunningServer, tenant: Tenant, app: str, receiver: Receiver
) -> None:
    endpoint = make(tenant, app, f"{receiver.url}/200/x", secret=ONE.to_text())
    query = f"app={app}&endpoint={endpoint}"
    tag = ask(server, query).headers["etag"]
    again = ask(server, query, **{"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert ask(server, query, **{"if-none-match": f'"other", {tag}'}).status_code == 304
    assert ask(server, query, **{"if-none-match": '"other"'}).status_code == 200
    tenant.http.post(f"/app/{app}/endpoint/{endpoint}/secret/rotate", json={"key": TWO.to_text()})
    changed = ask(server, query, **{"if-none-match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


def test_disabled_endpoints_keep_theirs(server: RunningServer, tenant: Tenant, app: str, receiver: Receiver) -> None:
    endpoint = make(tenant, app, f"{receiver.url}/200/x", secret=ONE.to_text(), disabled=True)
    assert len(ask(server, f"app={app}&endpoint={endpoint}").json()["keys"]) == 1


class Slow:
    """A routing table that nobody has in memory, and that takes its time."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    def cached(self, _: str) -> None:
        return None

    async def get(self, _: str) -> None:
        self.asked += 1
        await self.go_on.wait()


async def test_made_up_ids_do_not_keep_the_database_busy() -> None:
    from hookline.clock import ManualClock

    routing = Slow()
    key_sets = KeySets(routing, ManualClock())  # type: ignore[arg-type]

    def look_up() -> Any:
        return key_sets.of_endpoint(ids.new_id(ids.APPLICATION), ids.new_id(ids.ENDPOINT))

    waiting = [asyncio.create_task(look_up()) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert routing.asked == MAX_LOOKUPS
    with pytest.raises(OverloadedError):
        await look_up()
    routing.go_on.set()
    assert [json.dumps((await found).keys) for found in waiting] == ["[]"] * MAX_WAITING
    assert not (await look_up()).keys
