"""The delivery client over TLS: what it trusts, what it refuses and what it says about it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl

import pytest
import trustme

from hookline.egress import (
    Failure,
    Reason,
    Request,
    Response,
    StaticResolver,
    TlsOptions,
    TlsOptionsError,
    build_context,
)
from hookline.egress.tls import TlsContexts
from integration.egress.conftest import LoopLag, Make
from integration.egress.receivers import Receiver, post, reason_of, run_receiver
from integration.egress.zoo import serve_act
from support.certificates import client_certificate, pem

NAMES = StaticResolver({"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, *names: str, not_after: dt.datetime | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*(names or ("hooks.example",)), not_after=not_after).configure_cert(context)
    return context


def secure(receiver: Receiver, tls: TlsOptions | None, host: str = "hooks.example", timeout_s: float = 10) -> Request:
    return Request("POST", receiver.url(scheme="https", host=host), [], b"{}", timeout_s, tls)


async def test_own_authority(make_transport: Make, authority: trustme.CA) -> None:
    seen: list[str | None] = []
    context = server_context(authority)
    context.sni_callback = lambda _, name, __: seen.append(name)
    async with run_receiver(context) as receiver:
        transport = make_transport(NAMES)
        tls = TlsOptions(ca_pem=pem(authority))
        for _ in range(2):
            outcome = await transport.send(secure(receiver, tls))
            assert isinstance(outcome, Response), outcome
            assert outcome.remote == "127.0.0.1"
        assert receiver.connections == 1
        assert seen == ["hooks.example"]
        # The same URL without the endpoint's options must not profit from them.
        assert reason_of(await transport.send(secure(receiver, None))) is Reason.TLS
        await transport.close()


async def test_ip_literals_are_verified_as_addresses(make_transport: Make, authority: trustme.CA) -> None:
    async with run_receiver(server_context(authority, "127.0.0.1")) as receiver:
        transport = make_transport()
        outcome = await transport.send(secure(receiver, TlsOptions(ca_pem=pem(authority)), "127.0.0.1"))
        assert isinstance(outcome, Response), outcome
        await transport.close()


async def refused(
    make_transport: Make, context: ssl.SSLContext, tls: TlsOptions | None, host: str = "hooks.example"
) -> str:
    """The customer's sentence for a receiver that must be refused, and that must not see a request."""
    async with run_receiver(context) as receiver:
        transport = make_transport(NAMES)
        outcome = await transport.send(secure(receiver, tls, host))
        await transport.close()
        assert isinstance(outcome, Failure)
        assert outcome.reason is Reason.TLS
        assert receiver.requests == []
        return outcome.detail


async def test_unknown_authority(make_transport: Make, authority: trustme.CA) -> None:
    assert "unable to get local issuer" in await refused(make_transport, server_context(authority), None)
    other = TlsOptions(ca_pem=pem(trustme.CA()))
    await refused(make_transport, server_context(authority), other)


async def test_expired_certificate(make_transport: Make, authority: trustme.CA) -> None:
    context = server_context(authority, not_after=PAST)
    assert "expired" in await refused(make_transport, context, TlsOptions(ca_pem=pem(authority)))


async def test_wrong_host(make_transport: Make, authority: trustme.CA) -> None:
    detail = await refused(
        make_transport, server_context(authority), TlsOptions(ca_pem=pem(authority)), "other.example"
    )
    assert "other.example" in detail


async def test_self_signed_certificate(make_transport: Make) -> None:
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with own.cert_pem.tempfile() as cert_path, own.private_key_pem.tempfile() as key_path:
        context.load_cert_chain(cert_path, key_path)
    assert "self" in await refused(make_transport, context, None)


async def test_old_tls_versions(make_transport: Make, authority: trustme.CA) -> None:
    context = server_context(authority)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    await refused(make_transport, context, TlsOptions(ca_pem=pem(authority)))


async def test_plain_http_on_the_tls_port(make_transport: Make, receiver: Receiver) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with serve_act(act) as port:
        transport = make_transport()
        assert reason_of(await transport.send(post(f"https://127.0.0.1:{port}/"))) is Reason.TLS
        await transport.close()


async def test_closed_in_the_handshake(make_transport: Make) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with serve_act(act) as port:
        transport = make_transport()
        assert reason_of(await transport.send(post(f"https://127.0.0.1:{port}/"))) is Reason.TLS
        await transport.close()


@pytest.mark.parametrize(("timeout_s", "reason"), [(10, Reason.TIMEOUT_TLS), (0.1, Reason.TIMEOUT_TOTAL)])
async def test_slow_handshake(make_transport: Make, loop_lag: LoopLag, timeout_s: float, reason: Reason) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    async with serve_act(act) as port:
        transport = make_transport(tls_timeout_s=0.3)
        outcome = await transport.send(post(f"https://127.0.0.1:{port}/", timeout_s=timeout_s))
        assert reason_of(outcome) is reason
        assert outcome.duration_ms < (min(timeout_s, 0.3) + loop_lag.slack_s()) * 1000
        await transport.close()


async def test_client_certificate(make_transport: Make, authority: trustme.CA) -> None:
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    mine = authority.issue_cert("sender@hookline.example")
    options = TlsOptions(
        ca_pem=pem(authority),
        client_cert_pem="".join(blob.bytes().decode() for blob in mine.cert_chain_pems),
        client_key_pem=mine.private_key_pem.bytes().decode(),
    )
    async with run_receiver(context) as receiver:
        transport = make_transport(NAMES)
        assert isinstance(await transport.send(secure(receiver, options)), Response)
        # Other options, other connection: without the certificate the pooled one must not be used.
        without = await transport.send(secure(receiver, TlsOptions(ca_pem=pem(authority))))
        assert reason_of(without) in {Reason.TLS, Reason.CONNECTION_RESET, Reason.CLOSED_EARLY}
        assert len(receiver.requests) == 1
        await transport.close()


async def test_the_same_certificate_of_two_owners_is_two_connections(
    make_transport: Make, authority: trustme.CA
) -> None:
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    mine = client_certificate(authority)
    async with run_receiver(context) as receiver:
        transport = make_transport(NAMES)
        for owner, connections in (("ep_1", 1), ("ep_1", 1), ("ep_2", 2), ("ep_1", 2), ("ep_2", 2)):
            tls = TlsOptions(pem(authority), mine.certificate_pem, mine.private_key_pem, owner)
            assert isinstance(await transport.send(secure(receiver, tls)), Response)
            assert receiver.connections == connections
        await transport.close()


async def test_contexts_in_use_stay_when_many_others_come_and_go(authority: trustme.CA) -> None:
    contexts = TlsContexts(None)
    usual = await contexts.get(None)
    for number in range(130):
        await contexts.get(TlsOptions(owner=str(number)))
        assert await contexts.get(None) is usual
    assert len(contexts._contexts) == 128


@pytest.mark.parametrize(
    "options",
    [
        TlsOptions(ca_pem="garbage"),
        TlsOptions(ca_pem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        TlsOptions(client_cert_pem="garbage", client_key_pem="garbage"),
    ],
)
async def test_unusable_options(make_transport: Make, options: TlsOptions) -> None:
    outcome = await make_transport().send(Request("POST", "https://127.0.0.1:8443/", [], b"", 5, options))
    assert reason_of(outcome) is Reason.TLS
    with pytest.raises(TlsOptionsError):
        build_context(options)


def test_key_and_certificate_must_fit(authority: trustme.CA) -> None:
    one, two = authority.issue_cert("a.example"), authority.issue_cert("b.example")
    with pytest.raises(TlsOptionsError):
        build_context(
            TlsOptions(
                client_cert_pem=one.cert_chain_pems[0].bytes().decode(),
                client_key_pem=two.private_key_pem.bytes().decode(),
            )
        )


def test_private_material_is_not_shown() -> None:
    options = TlsOptions(ca_pem="ca-text", client_cert_pem="cert-text", client_key_pem="key-text")
    request = Request("POST", "https://example.com/", [("Authorization", "secret")], b"payload", 5, options)
    for text in ("ca-text", "cert-text", "key-text", "secret", "payload"):
        assert text not in repr(request)


def test_contexts_verify_and_speak_tls_1_2_at_least() -> None:
    context = build_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
