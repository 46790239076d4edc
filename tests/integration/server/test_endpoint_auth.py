"""Credentials on real deliveries: what receivers get, what answers show, what is on disk, what others never see."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import pytest
import trustme
from svix.api import EndpointPatch, EndpointUpsertIn
from svix.webhooks import Webhook

from support.certificates import client_certificate, pem, self_signed
from support.server import Receiver, RunningServer, Tenant, settings_for

SECRET = "hush-5ecret"


class Issuer:
    """An authorization server: `/token` issues a token, everything else refuses."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                good = self.path == "/token"
                if good:
                    issuer.asked.append(body)
                value = f"token-5ecret-{len(issuer.asked)}"
                answer = {"access_token": value, "token_type": "Bearer"} if good else {"error": "invalid_client"}
                content = json.dumps(answer).encode()
                self.send_response(200 if good else 401)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)


@pytest.fixture
def app(tenant: Tenant) -> str:
    return tenant.http.post("/app", json={"name": "App"}).json()["id"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_receiver(authority: trustme.CA) -> Iterator[Receiver]:
    """Give a receiver whose certificate is the authority's, and that asks for one of the authority's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with Receiver(context) as running:
        yield running


def make(tenant: Tenant, app: str, url: str, **members: Any) -> dict[str, Any]:
    answer = tenant.http.post(f"/app/{app}/endpoint", json={"url": url, **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(tenant: Tenant, app: str) -> str:
    return tenant.http.post(f"/app/{app}/msg", json={"eventType": "a.b", "payload": {"n": 1}}).json()["id"]


def first_attempt(tenant: Tenant, app: str, msg_id: str) -> dict[str, Any]:
    while not (attempts := tenant.http.get(f"/app/{app}/attempt/msg/{msg_id}").json()["data"]):
        pass
    return attempts[-1]


@pytest.mark.parametrize("dialect", ["standard", "openai", "speech", "plain", "cloudevents"])
@pytest.mark.parametrize(
    ("auth", "shown", "header", "value"),
    [
        (
            {"type": "basic", "username": "me", "password": SECRET},
            {"type": "basic", "username": "me"},
            "authorization",
            "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode(),
        ),
        ({"type": "bearer", "token": SECRET}, {"type": "bearer"}, "authorization", f"Bearer {SECRET}"),
        (
            {"type": "apiKey", "header": "X-Our-Key", "key": SECRET},
            {"type": "apiKey", "header": "X-Our-Key"},
            "x-our-key",
            SECRET,
        ),
    ],
)
def test_every_dialect_carries_credentials(
    tenant: Tenant,
    app: str,
    receiver: Receiver,
    dialect: str,
    auth: dict[str, str],
    shown: dict[str, str],
    header: str,
    value: str,
) -> None:
    made = make(tenant, app, f"{receiver.url}/200/x", auth=auth, dialect=dialect)
    assert made["auth"] == shown
    path = f"/app/{app}/endpoint/{made['id']}"
    assert tenant.http.get(path).json()["auth"] == shown
    assert SECRET not in tenant.http.get(f"/app/{app}/endpoint").text
    send(tenant, app)
    delivered = receiver.next()
    assert delivered.headers[header] == value


def test_the_sdk_leaves_them_alone(tenant: Tenant, app: str, receiver: Receiver) -> None:
    auth = {"type": "bearer", "token": SECRET}
    made = make(tenant, app, f"{receiver.url}/200/x", auth=auth, caPem=self_signed(ca=True).certificate_pem)
    assert tenant.svix.endpoint.get(app, made["id"]).id == made["id"]
    tenant.svix.endpoint.patch(app, made["id"], EndpointPatch(description="new"))
    tenant.svix.endpoint.upsert(app, made["id"], EndpointUpsertIn(url=f"{receiver.url}/200/y"))
    after = tenant.http.get(f"/app/{app}/endpoint/{made['id']}").json()
    assert (after["auth"], after["caPem"]) == ({"type": "bearer"}, made["caPem"])
    send(tenant, app)
    delivered = receiver.next()
    assert delivered.headers["authorization"] == f"Bearer {SECRET}"
    Webhook(tenant.svix.endpoint.get_secret(app, made["id"]).key).verify(delivered.body, delivered.headers)


def test_changes(tenant: Tenant, app: str, receiver: Receiver) -> None:
    made = make(tenant, app, f"{receiver.url}/200/x", auth={"type": "basic", "username": "me", "password": SECRET})
    path = f"/app/{app}/endpoint/{made['id']}"
    patched = tenant.http.patch(path, json={"auth": {"type": "basic", "username": "you"}})
    assert patched.json()["auth"] == {"type": "basic", "username": "you"}
    send(tenant, app)
    assert base64.b64decode(receiver.next().headers["authorization"].split()[1]).decode() == f"you:{SECRET}"

    for body, where in (
        ({"auth": {"type": "bearer"}}, ["body", "auth", "token"]),
        ({"auth": {"type": "bearer", "token": f"{SECRET} blank"}}, ["body", "auth", "token"]),
        ({"auth": {"type": "digest"}}, ["body", "auth", "type"]),
        ({"auth": {"type": "basic", "password": 5}}, ["body", "auth", "password"]),
        ({"headers": {"Authorization": SECRET}}, ["body", "auth"]),
        ({"clientCertificate": {"certificatePem": SECRET}}, ["body", "clientCertificate", "privateKeyPem"]),
        ({"caPem": SECRET}, ["body", "caPem"]),
    ):
        refused = tenant.http.patch(path, json=body)
        assert refused.status_code == 422, body
        assert refused.json()["detail"][0]["loc"] == where
        assert SECRET not in refused.text
    headers = tenant.http.put(f"{path}/headers", json={"headers": {"authorization": SECRET}})
    assert (headers.status_code, SECRET in headers.text) == (422, False)

    assert tenant.http.patch(path, json={"auth": None}).json()["auth"] is None
    send(tenant, app)
    assert "authorization" not in receiver.next().headers


def test_mutual_tls(
    tenant: Tenant, neighbour: Tenant, app: str, secure_receiver: Receiver, authority: trustme.CA
) -> None:
    mine = client_certificate(authority)
    identity = {"certificatePem": mine.certificate_pem, "privateKeyPem": mine.private_key_pem}
    url = f"{secure_receiver.url}/200/x"
    made = make(tenant, app, url, clientCertificate=identity, caPem=pem(authority))
    assert made["clientCertificate"] == {"certificatePem": mine.certificate_pem}
    assert "PRIVATE KEY" not in json.dumps(made)
    for _ in range(3):
        assert send(tenant, app) == secure_receiver.next().headers["webhook-id"]

    # Somebody else at the same receiver, while our connection is idle: theirs is another, without our certificate.
    other = neighbour.http.post("/app", json={"name": "Other"}).json()["id"]
    make(neighbour, other, url, caPem=pem(authority))
    attempt = first_attempt(neighbour, other, send(neighbour, other))
    assert attempt["reason"] in {"tls", "connection_reset", "closed_early"}
    assert secure_receiver.arrived.empty()

    # Without the authority the receiver is nobody that we trust, whatever we could show.
    tenant.http.patch(f"/app/{app}/endpoint/{made['id']}", json={"caPem": pem(trustme.CA())})
    attempt = first_attempt(tenant, app, send(tenant, app))
    assert (attempt["reason"], attempt["responseStatusCode"]) == ("tls", 0)
    assert secure_receiver.arrived.empty()


def test_a_receiver_that_signed_its_own_certificate(tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Receiver(context) as receiver, RunningServer(settings_for(tmp_path)) as server:
        tenant = Tenant(server)
        app = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        make(tenant, app, f"{receiver.url}/200/x", caPem=pem(authority), auth={"type": "bearer", "token": SECRET})
        assert send(tenant, app) == receiver.next().headers["webhook-id"]
        tenant.close()
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_oauth2(tenant: Tenant, app: str, receiver: Receiver) -> None:
    with Issuer() as issuer:
        auth = {
            "type": "oauth2",
            "tokenUrl": f"{issuer.url}/token",
            "clientId": "me",
            "clientSecret": SECRET,
            "scope": "hooks",
        }
        made = make(tenant, app, f"{receiver.url}/200/x", auth=auth)
        assert made["auth"] == {
            "type": "oauth2",
            "tokenUrl": f"{issuer.url}/token",
            "clientId": "me",
            "scope": "hooks",
            "inBody": False,
            "parameters": {},
        }
        for _ in range(3):
            send(tenant, app)
            assert receiver.next().headers["authorization"] == "Bearer token-5ecret-1"
        (asked,) = issuer.asked
        assert parse_qs(asked) == {"grant_type": ["client_credentials"], "scope": ["hooks"]}

        path = f"/app/{app}/endpoint/{made['id']}"
        answer = tenant.http.patch(path, json={"auth": {"type": "oauth2", "tokenUrl": "https://10.0.0.1/token"}})
        assert answer.status_code == 422
        assert {tuple(problem["loc"]) for problem in answer.json()["detail"]} == {("body", "auth", "clientSecret")}
        for url in ("https://10.0.0.1/token", "http://169.254.169.254/", "https://metadata.google.internal/token"):
            again = {"type": "oauth2", "tokenUrl": url, "clientSecret": SECRET}
            answer = tenant.http.patch(path, json={"auth": again})
            assert answer.status_code == 422
            assert answer.json()["detail"][0]["loc"] == ["body", "auth", "tokenUrl"]

        again = {"type": "oauth2", "tokenUrl": f"{issuer.url}/refuse", "clientSecret": SECRET}
        assert tenant.http.patch(path, json={"auth": again}).status_code == 200
        msg_id = send(tenant, app)
        attempt = first_attempt(tenant, app, msg_id)
        assert attempt["reason"] == "oauth_token_failed"
        assert attempt["detail"] == "The token endpoint answered 401 (invalid_client)."
        assert attempt["responseStatusCode"] == 0
        assert receiver.arrived.empty()
        metrics = urllib.request.urlopen(f"{tenant.server.url}/metrics", timeout=20).read().decode()
        assert 'reason="oauth_token_failed"' in metrics
        assert SECRET not in metrics
