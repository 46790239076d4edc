"""Tokens for customers: what is granted, what they may do, and that they end when somebody says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
from svix.api import ApplicationIn, ApplicationTokenExpireIn, AppPortalAccessIn
from svix.exceptions import HttpError
from svix.models.app_portal_capability import AppPortalCapability

from hookline.server.access import ACCESS, Needs
from hookline.services import Capability, Grant
from support.operations import list_operations
from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, RunningServer, Tenant, settings_for

DAY_S = 86_400


@pytest.fixture
def app_id(tenant: Tenant) -> str:
    made: str = tenant.http.post("/app", json={"name": "Customer", "uid": "customer"}).json()["id"]
    return made


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def ask_for(tenant: Tenant, app: str, **body: Any) -> httpx2.Response:
    return tenant.http.post(f"/auth/app-portal-access/{app}", json=body)


def is_good(tenant: Tenant, token: str, app_id: str) -> bool:
    status = tenant.http_with(token).get(f"/app/{app_id}").status_code
    assert status in {200, 401}
    return status == 200


# --- granting


def test_the_sdk_gets_a_token_and_an_address(tenant: Tenant, app_id: str) -> None:
    made = tenant.svix.authentication.app_portal_access(
        app_id,
        AppPortalAccessIn(
            feature_flags=["beta"],
            expiry=3_600,
            capabilities=[AppPortalCapability.VIEW_BASE, AppPortalCapability.CREATE_ATTEMPTS],
            read_only=False,
            session_id="s-1",
        ),
    )
    assert made.url == f"{tenant.server.runtime.settings.public_url}/docs#token={made.token}"
    claims = claims_of(made.token)
    assert (claims["sub"], claims["org"], claims["sid"]) == (app_id, tenant.org_id, "s-1")
    assert claims["exp"] - claims["iat"] == 3_600
    assert claims["capabilities"] == ["CreateAttempts", "ViewBase"]
    assert claims["feature_flags"] == ["beta"]
    assert [one.id for one in tenant.svix_with(made.token).endpoint.list(app_id).data] == []


def test_by_default_it_may_do_everything_for_a_week(tenant: Tenant, app_id: str) -> None:
    answer = ask_for(tenant, "customer")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    claims = claims_of(answer.json()["token"])
    assert claims["exp"] - claims["iat"] == 7 * DAY_S
    assert claims.keys() == {"iss", "iat", "nbf", "exp", "sub", "org", "jti"}
    older = tenant.http.post(f"/auth/dashboard-access/{app_id}").json()
    assert claims_of(older["token"]).keys() == claims.keys()
    assert older["token"] in older["url"]


def test_an_application_is_made_when_the_path_names_none(tenant: Tenant) -> None:
    form = AppPortalAccessIn(application=ApplicationIn(name="New", uid="new"))
    for _ in range(2):  # the second time there is one
        made = tenant.svix.authentication.app_portal_access("new", form)
        assert claims_of(made.token)["sub"] == tenant.svix.application.get("new").id
    assert len(tenant.http.get("/app").json()["data"]) == 1
    for body in ({}, {"application": {"name": "x"}}, {"application": {"name": "x", "uid": "another"}}):
        assert ask_for(tenant, "missing", **body).status_code == 404
    assert len(tenant.http.get("/app").json()["data"]) == 1


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"expiry": 3_599}, ["expiry"]),
        ({"expiry": 28 * DAY_S + 1}, ["expiry"]),
        ({"expiry": 10**30}, ["expiry"]),
        ({"expiry": "7d"}, ["expiry"]),
        ({"capabilities": []}, ["capabilities"]),
        ({"capabilities": ["ManageEndpoint"]}, ["capabilities"]),
        ({"capabilities": ["ViewBase", "Everything"]}, ["capabilities", 1]),
        ({"capabilities": ["ViewBase"] * 10_000}, ["capabilities"]),
        ({"featureFlags": ["a b"]}, ["featureFlags", 0]),
        ({"featureFlags": ["\u0000"]}, ["featureFlags", 0]),
        ({"featureFlags": [f"flag-{number}" for number in range(101)]}, ["featureFlags"]),
        ({"featureFlags": ["x" * 250 + str(number) for number in range(100)]}, ["featureFlags"]),
        ({"sessionId": ""}, ["sessionId"]),
        ({"sessionId": "x" * 257}, ["sessionId"]),
        ({"readOnly": "yes"}, ["readOnly"]),
    ],
)
def test_what_cannot_be_granted(tenant: Tenant, app_id: str, body: dict[str, Any], location: list[Any]) -> None:
    answer = ask_for(tenant, app_id, **body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", *location]


def test_four_weeks_are_accepted(tenant: Tenant, app_id: str) -> None:
    assert ask_for(tenant, app_id, expiry=28 * DAY_S).status_code == 200


def test_a_customer_grants_nothing(tenant: Tenant, app_id: str) -> None:
    client = tenant.http_with(ask_for(tenant, app_id).json()["token"])
    assert client.post(f"/auth/app-portal-access/{app_id}", json={}).status_code == 403
    assert client.post(f"/auth/dashboard-access/{app_id}").status_code == 403
    assert client.post(f"/auth/app/{app_id}/expire-all", json={}).status_code == 403


def test_a_key_of_the_application_grants_there_and_nowhere_else(tenant: Tenant, app_id: str) -> None:
    other = tenant.http.post("/app", json={"name": "Other"}).json()["id"]
    made = tenant.server.call(tenant.server.runtime.keys.create(tenant.org_id, name="k", app=app_id))
    client = tenant.http_with(made.text)
    assert client.post(f"/auth/app-portal-access/{app_id}", json={}).status_code == 200
    assert client.post(f"/auth/app/{app_id}/expire-all", json={}).status_code == 204
    assert client.post(f"/auth/app-portal-access/{other}", json={}).status_code == 404
    assert client.post(f"/auth/app/{other}/expire-all", json={}).status_code == 404
    new = {"application": {"name": "x", "uid": "new"}}
    assert client.post("/auth/app-portal-access/new", json=new).status_code == 404
    assert client.post("/auth/logout").status_code == 403


# --- ending


def test_logging_out_ends_this_token_at_once(tenant: Tenant, app_id: str) -> None:
    first, second = (ask_for(tenant, app_id).json()["token"] for _ in range(2))
    assert is_good(tenant, first, app_id)
    assert is_good(tenant, second, app_id)
    tenant.svix_with(first).authentication.logout()
    assert not is_good(tenant, first, app_id)
    assert is_good(tenant, second, app_id)
    assert tenant.http_with(first).post("/auth/logout").status_code == 401


def test_a_token_without_an_id_can_be_logged_out_too(tenant: Tenant, app_id: str) -> None:
    now = int(time.time())
    secret = tenant.server.runtime.tokens._secret
    older = [
        jwt.encode({"sub": app_id, "org": tenant.org_id, "iat": now - age, "exp": now + 600}, secret, "HS256")
        for age in (1, 2)
    ]
    assert all(is_good(tenant, token, app_id) for token in older)
    # The last character of a signature has bits that mean nothing: the same token, spelled differently.
    body, _, signature = older[0].rpartition(".")
    spelled = [f"{body}.{signature[:-1]}{last}" for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]
    spelled = [token for token in spelled if tenant.http_with(token).get(f"/app/{app_id}").status_code == 200]
    assert tenant.http_with(older[0]).post("/auth/logout").status_code == 204
    assert not any(is_good(tenant, token, app_id) for token in [older[0], *spelled])
    assert is_good(tenant, older[1], app_id)
    tenant.svix.authentication.expire_all(app_id, ApplicationTokenExpireIn())
    assert not is_good(tenant, older[1], app_id)


def test_an_organization_does_not_log_out(tenant: Tenant) -> None:
    with pytest.raises(HttpError) as raised:
        tenant.svix.authentication.logout()
    assert raised.value.status_code == 403
    assert tenant.http.get("/app").status_code == 200


def test_expiring_all_ends_what_was_granted_before(tenant: Tenant, app_id: str) -> None:
    other = tenant.http.post("/app", json={"name": "Other"}).json()["id"]
    olds = [ask_for(tenant, app_id).json()["token"], ask_for(tenant, app_id, sessionId="s").json()["token"]]
    bystander = ask_for(tenant, other).json()["token"]
    assert all(is_good(tenant, token, app_id) for token in olds)
    tenant.svix.authentication.expire_all(app_id, ApplicationTokenExpireIn())
    new = ask_for(tenant, app_id).json()["token"]  # in the same second, likely in the same millisecond
    assert not any(is_good(tenant, token, app_id) for token in olds)
    assert is_good(tenant, new, app_id)
    assert is_good(tenant, bystander, other)


def test_none_outlives_its_application(tenant: Tenant, app_id: str) -> None:
    """What belongs to the whole organization, such as its event types, must not stay open to a former customer."""
    tenant.http.post("/event-type", json={"name": "order.paid", "description": ""})
    customer, out = (tenant.http_with(ask_for(tenant, app_id).json()["token"]) for _ in range(2))
    assert customer.get("/event-type").status_code == 200
    assert out.post("/auth/logout").status_code == 204
    assert tenant.http.delete(f"/app/{app_id}").status_code == 204
    for client in (customer, out):
        for path in ("/event-type", "/event-type/order.paid", "/openapi.json", "/background-task", f"/app/{app_id}"):
            assert client.get(path).status_code == 401, path


def test_expiring_sessions_ends_only_those(tenant: Tenant, app_id: str) -> None:
    one, two, none = (
        ask_for(tenant, app_id, **body).json()["token"] for body in ({"sessionId": "1"}, {"sessionId": "2"}, {})
    )
    tenant.svix.authentication.expire_all("customer", ApplicationTokenExpireIn(session_ids=["1", "unknown"]))
    assert [is_good(tenant, token, app_id) for token in (one, two, none)] == [False, True, True]
    assert is_good(tenant, ask_for(tenant, app_id, sessionId="1").json()["token"], app_id)


def test_expiring_later_leaves_them_until_then(tenant: Tenant, app_id: str) -> None:
    token = ask_for(tenant, app_id).json()["token"]
    tenant.svix.authentication.expire_all(app_id, ApplicationTokenExpireIn(expiry=600))
    assert is_good(tenant, token, app_id)
    _, ends_s = tenant.server.call(tenant.server.runtime.sessions.identify(token))
    assert abs(ends_s - time.time() - 600) < 30
    tenant.svix.authentication.expire_all(app_id, ApplicationTokenExpireIn(expiry=1_200))
    assert tenant.server.call(tenant.server.runtime.sessions.identify(token))[1] == ends_s


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"expiry": -1}, ["expiry"]),
        ({"expiry": 10**9}, ["expiry"]),
        ({"sessionIds": [""]}, ["sessionIds", 0]),
        ({"sessionIds": ["x"] * 101}, ["sessionIds"]),
        ({"sessionIds": "x"}, ["sessionIds"]),
    ],
)
def test_what_cannot_be_expired(tenant: Tenant, app_id: str, body: dict[str, Any], location: list[Any]) -> None:
    answer = tenant.http.post(f"/auth/app/{app_id}/expire-all", json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", *location])


@pytest.fixture
def two_nodes(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, RunningServer]]:
    dsn = postgres_server.dsn(postgres_server.create_database())
    settings = settings_for(tmp_path_factory.mktemp("nodes"), database_url=dsn, **POSTGRES_SECRETS)
    with RunningServer(settings) as one, RunningServer(settings) as two:
        yield one, two


def test_the_other_node_hears_of_it_within_seconds(two_nodes: tuple[RunningServer, RunningServer]) -> None:
    here, there = (Tenant(node) for node in two_nodes)
    app_id = here.http.post("/app", json={"name": "x"}).json()["id"]
    tokens = [ask_for(here, app_id).json()["token"] for _ in range(2)]
    assert all(is_good(there, token, app_id) for token in tokens)
    assert here.http_with(tokens[0]).post("/auth/logout").status_code == 204
    assert here.http.post(f"/auth/app/{app_id}/expire-all", json={}).status_code == 204
    until = time.monotonic() + 8
    while any(is_good(there, token, app_id) for token in tokens):
        assert time.monotonic() < until, "still good after 8 s"
        time.sleep(0.1)
    for tenant in (here, there):
        tenant.close()


def test_what_is_asked_while_somebody_logs_out_is_not_remembered(tenant: Tenant, app_id: str) -> None:
    authenticator = tenant.server.runtime.authenticator
    token = ask_for(tenant, app_id).json()["token"]

    async def interleave() -> None:
        identify = authenticator._sessions.identify

        async def identify_late(text: str) -> Any:
            answer = await identify(text)
            authenticator.forget(app_id)  # a log-out comes in between
            return answer

        authenticator._sessions.identify = identify_late  # type: ignore[method-assign]
        try:
            await authenticator.authenticate_anew(token)
        finally:
            del authenticator._sessions.identify
        assert authenticator.remembered(token) is None
        await authenticator.authenticate_anew(token)
        assert authenticator.remembered(token) is not None

    tenant.server.call(interleave())


# --- what they may do


@pytest.mark.parametrize("read_only", [False, True])
def test_every_operation_asks_for_what_its_line_says(tenant: Tenant, app_id: str, read_only: bool) -> None:
    """Each capability alone, over the wire; which sets suffice for which line is a unit test's question."""
    tokens = tenant.server.runtime.tokens
    grants = [Grant(None, read_only), Grant(frozenset(), read_only)]
    grants += [Grant(frozenset({Capability.VIEW_BASE, capability}), read_only) for capability in Capability]
    for grant in grants:
        client = tenant.http_with(tokens.issue_for_application(tenant.org_id, app_id, grant=grant))
        principal = tokens.read(client.headers["authorization"].removeprefix("Bearer ")).principal
        for operation in list_operations():
            need = ACCESS[operation.id]
            if need not in {Needs.NO_CREDENTIAL, Needs.ANY_CREDENTIAL}:
                expected = isinstance(need, Capability) and principal.may(need)
                answer = client.request(operation.method, operation.path.replace("{app_id}", "nobody"), content=b"{")
                assert (answer.status_code != 403) is expected, (operation.id, grant)


def test_a_token_without_claims_may_do_what_it_always_might(tenant: Tenant, app_id: str) -> None:
    now = int(time.time())
    claims = {"sub": app_id, "org": tenant.org_id, "iat": now, "exp": now + 600}
    client = tenant.http_with(jwt.encode(claims, tenant.server.runtime.tokens._secret, "HS256"))
    made = client.post(f"/app/{app_id}/endpoint", json={"url": "http://127.0.0.1:59999/x"})
    assert made.status_code == 201
    assert client.get(f"/app/{app_id}/endpoint/{made.json()['id']}/secret").status_code == 200


def test_headers_and_auth_are_shown_to_those_who_may_see_secrets(tenant: Tenant, app_id: str) -> None:
    body = {
        "url": "http://127.0.0.1:59999/x",
        "headers": {"X-Team": "billing", "X-Api-Key": "s3cret"},
        "auth": {"type": "basic", "username": "visitor", "password": "s3cret"},
    }
    endpoint_id = tenant.http.post(f"/app/{app_id}/endpoint", json=body).json()["id"]
    path = f"/app/{app_id}/endpoint/{endpoint_id}"
    for capabilities, shown in (
        (["ViewBase"], {}),
        (["ViewBase", "CreateAttempts"], {}),
        (["ViewBase", "ViewEndpointSecret"], {"X-Team": "billing"}),
        (["ViewBase", "ManageEndpoint"], {"X-Team": "billing"}),
    ):
        client = tenant.http_with(ask_for(tenant, app_id, capabilities=capabilities).json()["token"])
        answer = client.get(f"{path}/headers").json()
        assert answer["headers"] == shown
        assert {*answer["headers"], *answer["sensitive"]} == {"X-Team", "X-Api-Key"}
        for text in (client.get(path).text, client.get(f"/app/{app_id}/endpoint").text):
            assert "s3cret" not in text
            assert "billing" not in text
            assert ("visitor" in text) is bool(shown)
            assert '"type":"basic"' in text


def test_a_read_only_token_changes_nothing(tenant: Tenant, app_id: str) -> None:
    endpoint = tenant.http.post(f"/app/{app_id}/endpoint", json={"url": "http://127.0.0.1:59999/x"}).json()
    path = f"/app/{app_id}/endpoint/{endpoint['id']}"
    plain = tenant.http_with(ask_for(tenant, app_id, readOnly=True).json()["token"])
    seeing = ["ViewBase", "ViewEndpointSecret", "ManageEndpoint"]
    curious = tenant.http_with(ask_for(tenant, app_id, readOnly=True, capabilities=seeing).json()["token"])
    assert (plain.get(path).status_code, plain.get(f"{path}/secret").status_code) == (200, 403)
    assert (curious.get(path).status_code, curious.get(f"{path}/secret").status_code) == (200, 200)
    for client in (plain, curious):
        assert client.patch(path, json={"description": "changed"}).status_code == 403
        assert client.delete(path).status_code == 403
        assert client.post("/auth/logout").status_code == 204  # its own end is its own business
