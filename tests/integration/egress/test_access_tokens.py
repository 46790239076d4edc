"""Access tokens over real sockets: issuers that work, expire, hang, redirect, talk too much, or sit where none may."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from hookline.clock import ManualClock
from hookline.egress import (
    AccessToken,
    AccessTokens,
    Failure,
    HttpTransport,
    Outcome,
    Reason,
    Request,
    ResolveError,
    StaticResolver,
    TlsOptions,
)
from hookline.egress.memory import MemoryTransport
from hookline.model import OAuth2Auth
from integration.egress.conftest import Make
from integration.egress.receivers import Receiver, run_receiver
from support.certificates import client_certificate, pem
from unit.egress.ssrf_table import NAMES


def issue(value: str, status: str = "200 OK", **members: Any) -> bytes:
    return plain(json.dumps({"access_token": value, "token_type": "Bearer", **members}).encode(), status)


def plain(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def auth_for(receiver: Receiver, **members: Any) -> OAuth2Auth:
    return OAuth2Auth(**{"token_url": receiver.url("/token"), "client_id": "me", "client_secret": "hush", **members})


def value_of(token: AccessToken | Failure) -> str:
    assert isinstance(token, AccessToken), token
    return token.value


def detail_of(token: AccessToken | Failure) -> str:
    assert isinstance(token, Failure), token
    assert token.reason is Reason.OAUTH_TOKEN_FAILED
    assert "hush" not in token.detail
    return token.detail


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_one_fetch_for_all_who_wait_and_none_while_it_lasts(
    make_transport: Make, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answer = issue("one", expires_in=100)
    receiver.hold = asyncio.Event()
    tokens, auth = AccessTokens(make_transport(), clock), auth_for(receiver)
    waiting = [asyncio.create_task(tokens.get("ep_1", auth, 5)) for _ in range(50)]
    await receiver.arrived.wait()
    receiver.hold.set()
    assert {value_of(await waiter) for waiter in waiting} == {"one"}
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"
    assert len(receiver.requests) == 1

    receiver.answer = issue("two", expires_in=100)
    clock.advance(89.9)
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"
    clock.advance(0.2)  # before it has expired, not after
    assert value_of(await tokens.get("ep_1", auth, 5)) == "two"
    assert len(receiver.requests) == 2


async def test_tokens_belong_to_one_endpoint_and_one_set_of_credentials(
    make_transport: Make, receiver: Receiver, clock: ManualClock
) -> None:
    tokens, auth = AccessTokens(make_transport(), clock), auth_for(receiver)
    receiver.answer = issue("one")
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"
    receiver.answer = issue("two")
    assert value_of(await tokens.get("ep_2", auth, 5)) == "two"
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"
    receiver.answer = issue("three")
    assert value_of(await tokens.get("ep_1", auth_for(receiver, client_secret="hush-hush"), 5)) == "three"
    assert len(receiver.requests) == 3


async def test_a_refused_token_is_dropped_once(make_transport: Make, receiver: Receiver, clock: ManualClock) -> None:
    tokens, auth = AccessTokens(make_transport(), clock), auth_for(receiver)
    receiver.answer = issue("one", expires_in=3600)
    token = await tokens.get("ep_1", auth, 5)
    assert isinstance(token, AccessToken)
    assert not tokens.reject("ep_1", token)  # just issued: the next would be refused as well
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"
    clock.advance(11)
    assert tokens.reject("ep_1", token)
    receiver.answer = issue("two", expires_in=3600)
    assert value_of(await tokens.get("ep_1", auth, 5)) == "two"
    assert tokens.reject("ep_1", token)  # others were sent with the old one: the new one stays
    assert value_of(await tokens.get("ep_1", auth, 5)) == "two"
    assert tokens.reject("ep_9", token)
    assert len(receiver.requests) == 2


async def test_a_slow_issuer_costs_no_more_than_the_attempts_time(
    make_transport: Make, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.answer = issue("one")
    receiver.hold = asyncio.Event()
    tokens, auth = AccessTokens(make_transport(), clock), auth_for(receiver)
    assert "within the time" in detail_of(await tokens.get("ep_1", auth, 0.05))
    patient = asyncio.create_task(tokens.get("ep_1", auth, 5))
    await receiver.arrived.wait()
    receiver.hold.set()
    assert value_of(await patient) == "one"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain(b'{"error":"invalid_client"}', "401 Unauthorized"), "401 (invalid_client)"),
        (plain(b"", "503 Busy"), "503"),
        (plain(b"<html>hush</html>"), "not the JSON"),
        (b"SSH-2.0-OpenSSH hush\r\n", "gave no answer"),
        (plain(b'{"access_token":"' + b"x" * 40_000 + b'"}'), "more than 32768 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, "more than 32768 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "gave no answer"),
    ],
)
async def test_garbage(make_transport: Make, receiver: Receiver, clock: ManualClock, answer: bytes, words: str) -> None:
    receiver.answer, receiver.close_after_answer = answer, True
    tokens, auth = AccessTokens(make_transport(), clock), auth_for(receiver)
    assert words in detail_of(await tokens.get("ep_1", auth, 5))
    asked = len(receiver.requests)
    # For a moment nobody asks again; then somebody does, and all is well.
    receiver.answer = issue("one")
    assert words in detail_of(await tokens.get("ep_1", auth, 5))
    assert len(receiver.requests) == asked
    clock.advance(2.1)
    assert value_of(await tokens.get("ep_1", auth, 5)) == "one"


async def test_an_answer_longer_than_the_excerpt_of_deliveries(
    make_transport: Make, receiver: Receiver, clock: ManualClock
) -> None:
    from hookline.egress import Limits

    receiver.answer = issue("x" * 8_000)
    tokens = AccessTokens(make_transport(limits=Limits(max_excerpt_bytes=0)), clock)
    assert value_of(await tokens.get("ep_1", auth_for(receiver), 5)) == "x" * 8_000


async def test_a_redirect_takes_the_secret_nowhere(
    make_transport: Make, receiver: Receiver, clock: ManualClock
) -> None:
    async with run_receiver() as thief:
        thief.answer = issue("stolen")
        receiver.answer = plain(b"", "307 Temporary Redirect", f"Location: {thief.url('/token')}\r\n")
        tokens = AccessTokens(make_transport(), clock)
        assert "307" in detail_of(await tokens.get("ep_1", auth_for(receiver), 5))
        assert not thief.requests


async def test_a_dead_issuer(make_transport: Make, clock: ManualClock) -> None:
    async with run_receiver() as gone:
        auth = auth_for(gone)
    tokens = AccessTokens(make_transport(), clock)
    assert "refused the connection" in detail_of(await tokens.get("ep_1", auth, 5))


@pytest.mark.parametrize("name", NAMES)
async def test_issuers_where_deliveries_may_not_go(make_transport: Make, clock: ManualClock, name: str) -> None:
    tokens = AccessTokens(make_transport(StaticResolver(NAMES), allow=()), clock)
    detail = detail_of(await tokens.get("ep_1", OAuth2Auth(f"https://{name}:8443/token", "me", "hush"), 5))
    assert not any(address in detail for address in NAMES[name])
    assert "may not go to" in detail


@pytest.mark.parametrize("url", ["http://issuer.example/token", "https://127.0.0.1/token", "https://10.0.0.1:6379/"])
async def test_urls_that_no_delivery_could_have(make_transport: Make, clock: ManualClock, url: str) -> None:
    tokens = AccessTokens(make_transport(StaticResolver({"issuer.example": ["93.184.216.34"]}), allow=()), clock)
    detail_of(await tokens.get("ep_1", OAuth2Auth(url, "me", "hush"), 5))


async def test_the_endpoints_authorities_count_and_its_certificate_stays(
    make_transport: Make, clock: ManualClock
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    seen: list[Any] = []
    async with run_receiver(context) as receiver:
        receiver.answer = issue("one")
        act = receiver.act

        async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("peercert"))
            await act(reader, writer)

        receiver.act = look  # type: ignore[method-assign]
        auth = auth_for(receiver, token_url=receiver.url("/token", "https"))
        tokens = AccessTokens(make_transport(), clock)
        assert "certificate" in detail_of(await tokens.get("ep_1", auth, 5))
        assert value_of(await tokens.get("ep_1", auth, 5, TlsOptions(pem(authority)))) == "one"
    mine = client_certificate(authority)
    assert mine.private_key_pem
    assert not any(seen)


class Broken(MemoryTransport):
    async def send(self, request: Request) -> Outcome:
        raise ResolveError("broken")


async def test_a_mistake_of_ours_is_an_outcome(clock: ManualClock) -> None:
    tokens = AccessTokens(Broken(), clock)
    auth = OAuth2Auth("https://issuer.example/token", "me", "hush")
    detail_of(await tokens.get("ep_1", auth, 5))
    clock.advance(3)
    detail_of(await tokens.get("ep_1", auth, 5))


async def test_closing_the_transport_ends_a_fetch(make_transport: Make, receiver: Receiver, clock: ManualClock) -> None:
    receiver.hold = asyncio.Event()
    transport: HttpTransport = make_transport()
    tokens = AccessTokens(transport, clock)
    waiter = asyncio.create_task(tokens.get("ep_1", auth_for(receiver), 60))
    await receiver.arrived.wait()
    await transport.close()
    failure = await waiter
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.CANCELED
    receiver.hold.set()


async def test_memory_is_bounded(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.egress.access_tokens.MAX_HELD", 3)
    answers: Callable[[Request], Outcome] = lambda _: _response(issue("one"))  # noqa: E731
    tokens = AccessTokens(MemoryTransport(answers), clock)
    auth = OAuth2Auth("https://issuer.example/token", "me", "hush")
    for number in range(10):
        await tokens.get(f"ep_{number}", auth, 5)
    assert list(tokens._entries) == ["ep_7", "ep_8", "ep_9"]


def _response(raw: bytes) -> Outcome:
    from hookline.egress import Response

    return Response(200, raw.partition(b"\r\n\r\n")[2])
