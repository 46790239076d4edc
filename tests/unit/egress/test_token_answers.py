"""Token requests as RFC 6749 writes them, and answers: what is a token, what is not, and what is said about it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from hookline.egress import AccessToken, Failure, Reason, Response, TlsOptions
from hookline.egress.access_tokens import build_request, read_answer
from hookline.model import OAuth2Auth

AUTH = OAuth2Auth("https://issuer.example/token", "me:ü", "hush hush&=%", "a b", parameters={"audience": "ä b"})


def answer(body: Any, status: int = 200) -> Response:
    return Response(status, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_credentials_as_http_basic() -> None:
    tls = TlsOptions("PEM")
    request = build_request(AUTH, tls)
    assert (request.method, request.url, request.tls) == ("POST", AUTH.token_url, tls)
    headers = dict(request.headers)
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    pair = base64.b64decode(headers["authorization"].removeprefix("Basic "))
    assert pair == b"me%3A%C3%BC:hush+hush%26%3D%25"  # section 2.3.1: encoded, so that the colon has one meaning
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "audience": ["ä b"],
        "scope": ["a b"],
    }
    assert "hush" not in repr(request)


def test_credentials_in_the_body() -> None:
    request = build_request(OAuth2Auth("https://issuer.example/token", "me", "hush&x=1", in_body=True), None)
    assert "authorization" not in dict(request.headers)
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": ["hush&x=1"],
    }


@pytest.mark.parametrize(
    ("members", "lasts_s"),
    [
        ({"expires_in": 3600}, 3570),
        ({"expires_in": 100}, 90),
        ({"expires_in": 0.5}, 0.45),
        ({"expires_in": "3600"}, 3570),
        ({"expires_in": 1e300}, 86_370),
        ({}, 270),
        ({"expires_in": None, "token_type": "BEARER", "scope": "a", "refresh_token": "no"}, 270),
    ],
)
def test_a_token_is_used_until_shortly_before_its_end(members: dict[str, Any], lasts_s: float) -> None:
    token = read_answer(answer({"access_token": "hush", "token_type": "Bearer", **members}), 1000.0)
    assert isinstance(token, AccessToken)
    assert (token.value, token.since_s) == ("hush", 1000.0)
    assert token.until_s == pytest.approx(1000.0 + lasts_s)
    assert "hush" not in repr(token)


@pytest.mark.parametrize(
    "response",
    [
        answer(b""),
        answer(b"<html>"),
        answer(b"[" * 30_000),
        answer(b"\xff\xfe"),
        answer([]),
        answer({}),
        answer({"access_token": 5}),
        answer({"access_token": None}),
        answer({"access_token": ""}),
        answer({"access_token": "hush\r\nx: y"}),
        answer({"access_token": "hush hush"}),
        answer({"access_token": "hüsh"}),
        answer({"access_token": "x" * 8_193}),
        answer({"access_token": "hush", "token_type": "mac"}),
        answer({"access_token": "hush", "token_type": 5}),
        answer({"access_token": "hush", "expires_in": 0}),
        answer({"access_token": "hush", "expires_in": -1}),
        answer({"access_token": "hush", "expires_in": "soon"}),
        answer({"access_token": "hush", "expires_in": "nan"}),
        answer({"access_token": "hush", "expires_in": True}),
        answer({"access_token": "hush", "expires_in": {}}),
        answer(b'{"access_token":"hush","expires_in":' + b"9" * 10_000 + b"}"),
        answer({"access_token": "hush"}, 201),
        answer({"access_token": "hush"}, 302),
        answer({"access_token": "hush"}, 401),
        Response(200, b'{"access_token":"hush"}', truncated=True),
        Failure(Reason.TIMEOUT_TOTAL),
    ],
)
def test_everything_else_is_no_token_and_says_nothing_secret(response: Response | Failure) -> None:
    failure = read_answer(response, 0.0)
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.OAUTH_TOKEN_FAILED
    assert failure.detail.startswith("The token ")
    assert "hush" not in failure.detail


def test_the_standard_errors_are_named_and_no_others() -> None:
    named = read_answer(answer({"error": "invalid_client", "error_description": "hush"}, 401), 0.0)
    assert isinstance(named, Failure)
    assert named.detail == "The token endpoint answered 401 (invalid_client)."
    other = read_answer(answer({"error": "hush"}, 400), 0.0)
    assert isinstance(other, Failure)
    assert other.detail == "The token endpoint answered 400."


@pytest.mark.parametrize("reason", [Reason.LEASE_LOST, Reason.CANCELED])
def test_what_we_cut_ourselves_is_no_fault_of_the_token_endpoint(reason: Reason) -> None:
    failure = read_answer(Failure(reason), 0.0)
    assert isinstance(failure, Failure)
    assert failure.reason is reason
