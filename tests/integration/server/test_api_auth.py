"""Who may come in: tokens and keys, good, bad, expired, revoked, forged."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import httpx2
import jwt
import pytest

from hookline.model import ApiKey
from hookline.services import AuthenticationError, NewKey
from hookline.services.keys import hash_key
from support.server import RunningServer, Tenant, new_org

INVALID = {"code": "authentication_failed", "detail": "Invalid token"}
ORG = new_org()


def secret_of(server: RunningServer) -> bytes:
    secret: bytes = server.runtime.tokens._secret
    return secret


def ask(server: RunningServer, authorization: str | bytes | None) -> httpx2.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return httpx2.get(f"{server.url}/api/v1/app", headers=headers, timeout=20)


def claims(**changes: Any) -> dict[str, Any]:
    made = {"iss": "svix-server", "sub": ORG, "iat": int(time.time()), "exp": int(time.time()) + 600, **changes}
    return {name: value for name, value in made.items() if value is not None}


def sign_by_hand(server: RunningServer, content: dict[str, Any], algorithm: str) -> str:
    """Sign anything: the library refuses to sign some of what has to be refused here."""
    signed = f"{encode({'alg': algorithm, 'typ': 'JWT'})}.{encode(content)}"
    digest = {"HS256": "sha256", "HS512": "sha512"}[algorithm]
    mac = hmac.digest(secret_of(server), signed.encode(), digest)
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer hk_",
        "Bearer hk_" + "A" * 43,
        "Bearer hk_" + "A" * 10_000,
        "Bearer " + "x" * 8_000,
        "Basic dXNlcjpwYXNz",
        "Token abc",
        b"Bearer \xff\xfe",
    ],
)
def test_strangers(server: RunningServer, authorization: str | bytes | None) -> None:
    answer = ask(server, authorization)
    assert (answer.status_code, answer.json()) == (401, INVALID)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "content",
    [
        claims(sub="someone"),
        claims(sub="user_1"),
        claims(sub=None),
        claims(sub=5),
        claims(sub="org_"),
        claims(sub="org_a/../b"),
        claims(sub="app_1"),
        claims(sub="app_1", org="company"),
        claims(sub="app_1", org=7),
        claims(sub=ORG, org=ORG),
        claims(exp=None),
        claims(exp=int(time.time()) - 1),
        claims(exp="tomorrow"),
        claims(exp=True),
        claims(exp=float("nan")),
        claims(nbf=int(time.time()) + 3_600),
    ],
)
def test_signed_but_wrong(server: RunningServer, content: dict[str, Any]) -> None:
    assert ask(server, f"Bearer {sign_by_hand(server, content, 'HS256')}").json() == INVALID


def test_what_is_signed_by_hand_is_good_otherwise(server: RunningServer) -> None:
    assert ask(server, f"Bearer {sign_by_hand(server, claims(), 'HS256')}").status_code == 200


def test_forged(server: RunningServer) -> None:
    good = jwt.encode(claims(), secret_of(server), algorithm="HS256")
    assert ask(server, f"Bearer {good}").status_code == 200
    head, body, mac = good.split(".")
    forged = [
        f"{encode({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        f"{encode({'alg': 'none', 'typ': 'JWT'})}.{body}.{mac}",
        f"{encode({'alg': 'NONE', 'typ': 'JWT'})}.{body}.",
        sign_by_hand(server, claims(), "HS512"),
        jwt.encode(claims(), b"another secret of thirty-two bytes!!", algorithm="HS256"),
        f"{head}.{encode(claims(sub=new_org()))}.{mac}",
        f"{head}.{body}.{mac[:-2]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{good}.{mac}",
    ]
    for token in forged:
        assert ask(server, f"Bearer {token}").status_code == 401, token


def test_tokens_of_a_svix_server_work(server: RunningServer) -> None:
    """The same claims, the same secret: who moves here keeps the tokens."""
    token = jwt.encode(claims(sub="org_23rb8YdGqMT0qIzpgGwdXfHirMu"), secret_of(server), algorithm="HS256")
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert ask(server, f"{scheme} {token}").status_code == 200


def make_key(tenant: Tenant, **options: Any) -> NewKey:
    options = {"name": "test", **options}
    return tenant.server.call(tenant.server.runtime.keys.create(tenant.org_id, **options))


def test_keys_of_an_organization(tenant: Tenant) -> None:
    made = make_key(tenant)
    client = tenant.http_with(made.text)
    assert client.post("/app", json={"name": "By key"}).status_code == 201
    assert [app["name"] for app in tenant.http.get("/app").json()["data"]] == ["By key"]
    assert client.get("/app").status_code == 200


def test_keys_of_one_application_may_send_there_and_nowhere_else(tenant: Tenant) -> None:
    own, other = (tenant.http.post("/app", json={"name": name, "uid": name}).json()["id"] for name in ("own", "other"))
    client = tenant.http_with(make_key(tenant, app="own").text)
    message = {"eventType": "a.b", "payload": {}}
    for _ in range(2):  # looked up, then remembered
        assert client.post(f"/app/{own}/msg", json=message).status_code == 202
        assert client.post("/app/own/msg", json=message).status_code == 202
        for app in (other, "other", "missing"):
            assert client.post(f"/app/{app}/msg", json=message).status_code == 404
    assert client.get("/app").status_code == 403
    assert client.post("/app", json={"name": "x"}).status_code == 403


def test_a_revoked_key_is_refused_within_seconds(tenant: Tenant) -> None:
    made = make_key(tenant)
    client = tenant.http_with(made.text)
    assert client.get("/app").status_code == 200
    tenant.server.call(tenant.server.runtime.keys.revoke(tenant.org_id, made.key.id))
    until = time.monotonic() + 8
    while client.get("/app").status_code == 200:
        assert time.monotonic() < until, "still good after 8 s"
        time.sleep(0.1)
    assert client.get("/app").json() == INVALID


def test_a_revoked_key_sends_no_message_within_seconds(tenant: Tenant) -> None:
    made = make_key(tenant)
    app_id = tenant.http.post("/app", json={"name": "x"}).json()["id"]
    client = tenant.http_with(made.text)
    message = {"eventType": "a.b", "payload": {}}
    assert client.post(f"/app/{app_id}/msg", json=message).status_code == 202
    tenant.server.call(tenant.server.runtime.keys.revoke(tenant.org_id, made.key.id))
    until = time.monotonic() + 8
    while client.post(f"/app/{app_id}/msg", json=message).status_code == 202:
        assert time.monotonic() < until, "still good after 8 s, although it was in use all the time"
        time.sleep(0.1)


def test_an_expired_key_is_refused(tenant: Tenant) -> None:
    text = "hk_" + "B" * 43
    key = ApiKey("key_old" + tenant.org_id, tenant.org_id, None, "old", hash_key(text), "BBBB", 1, expires_at_ms=2)
    tenant.server.call(tenant.server.runtime.store.create_api_key(key))
    assert ask(tenant.server, f"Bearer {text}").status_code == 401


def test_a_rotated_key_overlaps_with_the_old_one(tenant: Tenant) -> None:
    keys = tenant.server.runtime.keys
    old = make_key(tenant, name="deploy")
    new = tenant.server.call(keys.rotate(tenant.org_id, old.key.id, overlap_s=3_600))
    assert new.key.name == "deploy"
    for made in (old, new):
        assert ask(tenant.server, f"Bearer {made.text}").status_code == 200
    stored = {key.id: key for key in tenant.server.call(keys.list_keys(tenant.org_id))}
    assert stored[new.key.id].expires_at_ms is None
    expires_ms = stored[old.key.id].expires_at_ms
    assert expires_ms is not None
    assert abs(expires_ms - (time.time() + 3_600) * 1000) < 60_000


def test_no_key_is_kept_in_clear(tenant: Tenant) -> None:
    made = make_key(tenant)
    assert made.text not in repr(made)
    [stored] = tenant.server.call(tenant.server.runtime.keys.list_keys(tenant.org_id))
    assert made.text not in repr(stored)
    assert made.text.endswith(stored.hint)


def test_what_is_found_wrong_is_forgotten_at_once(tenant: Tenant) -> None:
    """A busy caller is looked up again before its time is over; when that fails, nothing of it is remembered."""
    runtime = tenant.server.runtime
    made = tenant.server.call(runtime.keys.create(tenant.org_id, name="k"))
    assert tenant.http_with(made.text).get("/app").status_code == 200
    assert runtime.authenticator.remembered(made.text) is not None
    tenant.server.call(runtime.keys.revoke(tenant.org_id, made.key.id))
    with pytest.raises(AuthenticationError):
        tenant.server.call(runtime.authenticator.authenticate_anew(made.text))
    assert runtime.authenticator.remembered(made.text) is None
