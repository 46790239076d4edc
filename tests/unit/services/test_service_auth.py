"""How an endpoint is told who we are: what is accepted, what is merged, what is refused, and what is never shown."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hookline.clock import ManualClock
from hookline.egress import EgressPolicy
from hookline.model import (
    ApiKeyAuth,
    Application,
    BasicAuth,
    BearerAuth,
    ClientCertificate,
    Endpoint,
    Extras,
    OAuth2Auth,
)
from hookline.services import AuthForm, ChecksCache, EndpointForm, Endpoints, InvalidError
from hookline.store import AppScope, Store
from support.certificates import DAY, NOW, client_certificate, key_pem, pem, self_signed
from unit.egress.ssrf_table import URLS

SCOPE = AppScope("org_1", "app_1")
FORM = EndpointForm("https://example.com/hook")
OAUTH = {"token_url": "https://issuer.example/token", "client_id": "me", "client_secret": "hush-hush"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(round(NOW.timestamp() * 1000))


@pytest.fixture
async def endpoints(store: Store, clock: ManualClock) -> Endpoints:
    now_ms = clock.now_ms()
    await store.create_application(Application("app_1", "org_1", None, "App", None, {}, now_ms, now_ms))
    return Endpoints(store, EgressPolicy(), ChecksCache(store), clock)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def said(**changes: Any) -> EndpointForm:
    return msgspec.structs.replace(FORM, **changes)


def auth(kind: str, **members: Any) -> EndpointForm:
    return said(auth=AuthForm(kind, members))


async def refusal(endpoints: Endpoints, form: EndpointForm) -> set[tuple[str | int, ...]]:
    with pytest.raises(InvalidError) as caught:
        await endpoints.create(SCOPE, form)
    assert caught.value.__cause__ is None
    assert "hush" not in str(caught.value)
    assert "KEY-----" not in str(caught.value).replace("(-----BEGIN PRIVATE KEY-----)", "")
    return {problem.field for problem in caught.value.problems}


def patch(**members: Any) -> Callable[[Endpoint], EndpointForm]:
    return lambda endpoint: msgspec.structs.replace(EndpointForm.of(endpoint), **members)


@pytest.mark.parametrize(
    ("kind", "members", "expected"),
    [
        ("basic", {"username": "me", "password": "hush"}, BasicAuth("me", "hush")),
        ("basic", {"username": "", "password": ""}, BasicAuth("", "")),
        ("basic", {"username": "mé", "password": "h:u sh"}, BasicAuth("mé", "h:u sh")),
        ("bearer", {"token": "hush"}, BearerAuth("hush")),
        ("api_key", {"header": "X-Key", "key": "hush"}, ApiKeyAuth("X-Key", "hush")),
        ("oauth2", OAUTH, OAuth2Auth("https://issuer.example/token", "me", "hush-hush")),
        (
            "oauth2",
            {**OAUTH, "scope": "a b:c", "in_body": True, "parameters": {"audience": "x"}},
            OAuth2Auth("https://issuer.example/token", "me", "hush-hush", "a b:c", True, {"audience": "x"}),
        ),
    ],
)
async def test_what_is_accepted_is_kept(
    endpoints: Endpoints, kind: str, members: dict[str, Any], expected: object
) -> None:
    made = await endpoints.create(SCOPE, auth(kind, **members))
    assert made.extras.auth == expected
    assert (await endpoints.get(SCOPE, made.id)).extras.auth == expected


@pytest.mark.parametrize(
    ("kind", "members", "fields"),
    [
        ("digest", {}, {"type"}),
        ("basic", {}, {"username", "password"}),
        ("basic", {"username": "a:b", "password": "hush"}, {"username"}),
        ("basic", {"username": "a\nb", "password": "hush\x7f"}, {"username", "password"}),
        ("basic", {"username": "a", "password": "hush" * 200}, {"password"}),
        ("basic", {"username": "a", "password": "hush\ud800"}, {"password"}),
        ("basic", {"username": "a", "password": "hush", "token": "hush"}, {"token"}),
        ("bearer", {"token": ""}, {"token"}),
        ("bearer", {"token": "hush hush"}, {"token"}),
        ("bearer", {"token": "hush\r\nx: y"}, {"token"}),
        ("api_key", {"header": "X Key", "key": "hush"}, {"header"}),
        ("api_key", {"header": "webhook-id", "key": "hush"}, {"header"}),
        ("api_key", {"header": "Host", "key": "hush"}, {"header"}),
        ("api_key", {"header": "X-Key", "key": "hush\r\nx: y"}, {"key"}),
        ("api_key", {"header": "X-Key", "key": ""}, {"key"}),
        ("oauth2", {}, {"token_url", "client_id", "client_secret"}),
        ("oauth2", {**OAUTH, "scope": "a  b"}, {"scope"}),
        ("oauth2", {**OAUTH, "client_secret": ""}, {"client_secret"}),
        ("oauth2", {**OAUTH, "parameters": {"grant_type": "password"}}, {"parameters"}),
        ("oauth2", {**OAUTH, "parameters": {"Client_Secret": "hush"}}, {"parameters"}),
        ("oauth2", {**OAUTH, "parameters": {"client_assertion": "hush"}}, {"parameters"}),
        ("oauth2", {**OAUTH, "parameters": {f"p{n}": "" for n in range(21)}}, {"parameters"}),
        ("oauth2", {**OAUTH, "parameters": {"": "x"}}, {"parameters"}),
    ],
)
async def test_what_is_refused(endpoints: Endpoints, kind: str, members: dict[str, Any], fields: set[str]) -> None:
    assert await refusal(endpoints, auth(kind, **members)) == {("auth", field) for field in fields}


@pytest.mark.parametrize("url", URLS)
async def test_token_urls_pass_the_same_gate_as_endpoints(endpoints: Endpoints, url: str) -> None:
    assert await refusal(endpoints, auth("oauth2", **{**OAUTH, "token_url": url})) == {("auth", "token_url")}


async def test_a_header_that_the_dialect_writes_cannot_carry_a_key(endpoints: Endpoints) -> None:
    assert await refusal(endpoints, auth("api_key", header="ce-id", key="hush")) == {("auth",)}
    assert await refusal(endpoints, auth("api_key", header="X-Key", key=" hush")) == {("auth",)}


async def test_one_place_for_one_header(endpoints: Endpoints) -> None:
    form = msgspec.structs.replace(auth("bearer", token="hush"), headers={"Authorization": "mine"})
    assert await refusal(endpoints, form) == {("auth",)}
    form = msgspec.structs.replace(auth("oauth2", **OAUTH), headers={"authorization": "mine"})
    assert await refusal(endpoints, form) == {("auth",)}
    form = msgspec.structs.replace(auth("api_key", header="X-Key", key="hush"), headers={"x-key": "mine"})
    assert await refusal(endpoints, form) == {("auth",)}
    made = await endpoints.create(SCOPE, auth("bearer", token="hush"))
    with pytest.raises(InvalidError):
        await endpoints.set_headers(SCOPE, made.id, lambda _: {"AUTHORIZATION": "mine"})
    await endpoints.set_headers(SCOPE, made.id, lambda _: {"x-key": "mine"})


async def test_a_change_keeps_what_it_does_not_name(endpoints: Endpoints) -> None:
    made = await endpoints.create(SCOPE, auth("basic", username="me", password="hush"))

    async def update(**members: Any) -> object:
        return (await endpoints.update(SCOPE, made.id, patch(**members))).extras.auth

    assert await update(description="new") == BasicAuth("me", "hush")
    assert await update(auth=AuthForm("basic", {"username": "you"})) == BasicAuth("you", "hush")
    assert await update(auth=AuthForm("basic", {"password": "new"})) == BasicAuth("you", "new")
    with pytest.raises(InvalidError):  # another type brings its own secret
        await update(auth=AuthForm("bearer", {}))
    assert await update(auth=AuthForm("bearer", {"token": "other"})) == BearerAuth("other")
    with pytest.raises(InvalidError):  # what was there before that is gone
        await update(auth=AuthForm("basic", {"username": "me"}))
    assert await update(auth=None) is None


async def test_a_client_secret_does_not_go_to_another_server(endpoints: Endpoints) -> None:
    made = await endpoints.create(SCOPE, auth("oauth2", **OAUTH, scope="a"))
    elsewhere = {"token_url": "https://thief.example/token"}
    with pytest.raises(InvalidError) as caught:
        await endpoints.update(SCOPE, made.id, patch(auth=AuthForm("oauth2", elsewhere)))
    assert [problem.field for problem in caught.value.problems] == [("auth", "client_secret")]
    changed = await endpoints.update(
        SCOPE, made.id, patch(auth=AuthForm("oauth2", {**elsewhere, "client_secret": "other"}))
    )
    assert changed.extras.auth == OAuth2Auth("https://thief.example/token", "me", "other", "a")
    changed = await endpoints.update(SCOPE, made.id, patch(auth=AuthForm("oauth2", {"scope": None})))
    assert changed.extras.auth == OAuth2Auth("https://thief.example/token", "me", "other")


def test_nothing_secret_is_shown() -> None:
    form = auth("basic", username="me", password="hush")
    assert "hush" not in f"{form!r} {form.auth!r} {form.auth}"


async def test_client_certificates(endpoints: Endpoints, authority: trustme.CA) -> None:
    good = [
        client_certificate(authority),
        self_signed(),
        self_signed(ed25519.Ed25519PrivateKey.generate()),
        self_signed(rsa.generate_private_key(65_537, 2_048)),
    ]
    for certificate in good:
        made = await endpoints.create(SCOPE, said(client_certificate=certificate))
        assert made.extras.client_certificate == certificate


CERTIFICATE, KEY = ("client_certificate", "certificate_pem"), ("client_certificate", "private_key_pem")


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda ok: ClientCertificate("garbage", ok.private_key_pem), CERTIFICATE),
        (lambda ok: ClientCertificate("", ok.private_key_pem), CERTIFICATE),
        (lambda ok: ClientCertificate(ok.certificate_pem * 30, ok.private_key_pem), CERTIFICATE),
        (lambda ok: ClientCertificate("é" + ok.certificate_pem, ok.private_key_pem), CERTIFICATE),
        (lambda ok: ClientCertificate(ok.certificate_pem + "x" * 40_000, ok.private_key_pem), CERTIFICATE),
        (lambda ok: ClientCertificate(ok.certificate_pem + ok.private_key_pem, ok.private_key_pem), CERTIFICATE),
        (lambda _: self_signed(end=NOW - DAY / 2), CERTIFICATE),
        (lambda _: self_signed(start=NOW + DAY / 2), CERTIFICATE),
        (lambda ok: ClientCertificate(ok.certificate_pem, "garbage"), KEY),
        (lambda ok: ClientCertificate(ok.certificate_pem, ok.certificate_pem), KEY),
        (lambda ok: ClientCertificate(ok.certificate_pem, self_signed().private_key_pem), KEY),
        (lambda ok: ClientCertificate(ok.certificate_pem, ok.private_key_pem + " " * 20_000), KEY),
        (lambda _: self_signed(rsa.generate_private_key(65_537, 1_024)), KEY),
        (lambda _: self_signed(ec.generate_private_key(ec.SECP256K1())), KEY),
        (lambda _: self_signed(dsa.generate_private_key(2_048)), KEY),
    ],
)
async def test_client_certificates_that_are_refused(
    endpoints: Endpoints, authority: trustme.CA, make: Callable[[ClientCertificate], ClientCertificate], field: object
) -> None:
    assert await refusal(endpoints, said(client_certificate=make(client_certificate(authority)))) == {field}


@pytest.mark.parametrize("kind", ["06092a864886f70d010301", "06072a8648ce3e0201"])
async def test_certificates_with_keys_that_somebody_made_up(endpoints: Endpoints, kind: str) -> None:
    """Diffie-Hellman with a large prime: to look at such a key takes a minute."""
    key = ec.generate_private_key(ec.SECP256R1())
    good = x509.load_pem_x509_certificate(self_signed(key).certificate_pem.encode())
    ours = good.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    huge = 2**9_941 - 1
    parameters = der(0x30, *map(der_integer, (huge, 2, 2**2_203 - 1)[: 2 if kind.endswith("0301") else 3]))
    theirs = der(0x30, der(0x30, bytes.fromhex(kind), parameters), der(3, b"\0" + der_integer(huge // 3)))
    signed = der(0x30, without_head(good.tbs_certificate_bytes).replace(ours, theirs))
    after = without_head(good.public_bytes(Encoding.DER))[len(good.tbs_certificate_bytes) :]
    text = as_pem("CERTIFICATE", der(0x30, signed, after))
    assert x509.load_pem_x509_certificate(text.encode()).subject == good.subject
    began_s = time.perf_counter()
    assert await refusal(endpoints, said(ca_pem=text)) == {("ca_pem",)}
    made_up = ClientCertificate(text, key_pem(key))
    assert await refusal(endpoints, said(client_certificate=made_up)) == {CERTIFICATE}
    assert time.perf_counter() - began_s < 3


def rsa_pem(*numbers: int) -> str:
    """Numbers as an RSA key (RFC 8017, A.1.2): n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p."""

    return as_pem("RSA PRIVATE KEY", der(0x30, *(der_integer(number) for number in (0, *numbers))))


def as_pem(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n"


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def without_head(content: bytes) -> bytes:
    """What stands in a DER value behind its tag and length."""
    return content[{0x81: 3, 0x82: 4}.get(content[1], 2) :]


def der_integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def rsa_parts(p: int, q: int, e: int = 65_537) -> list[int]:
    d = pow(e, -1, (p - 1) * (q - 1))
    return [p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]


async def test_keys_that_somebody_made_up(endpoints: Endpoints, authority: trustme.CA) -> None:
    """Large primes that everybody knows: to test whether they are primes takes seconds, or minutes for larger ones."""
    certificate = client_certificate(authority).certificate_pem
    good = rsa.generate_private_key(65_537, 2_048).private_numbers()
    parts = rsa_parts(good.p, good.q)
    huge = 2**9_941 - 1
    diffie_hellman = (
        der(0x30, bytes.fromhex("06092a864886f70d010301"), der(0x30, der_integer(huge), der_integer(2))),
        der(0x30, bytes.fromhex("06072a8648ce3e0201"), der(0x30, *map(der_integer, (huge, 2, 2**2_203 - 1)))),
    )
    odd = [
        *(
            as_pem("PRIVATE KEY", der(0x30, der_integer(0), algorithm, der(4, der_integer(huge // 2))))
            for algorithm in diffie_hellman
        ),
        rsa_pem(*parts) * 2,
        rsa_pem(*parts) + as_pem("DH PRIVATE KEY", b""),
        rsa_pem(*rsa_parts(2**2_203 - 1, 2**2_281 - 1)),
        rsa_pem(parts[0], 3, 3, huge, 2**2_203 - 1, 3, 3, 3),
        rsa_pem(parts[0], *parts[1:3], parts[4] + 2, *parts[4:]),
        *(rsa_pem(*parts[:place], parts[place] + 2, *parts[place + 1 :]) for place in range(2, len(parts))),
        rsa_pem(parts[0], 65_537, parts[2], 1, parts[0], 0, 0, 1),
        rsa_pem(parts[0], 65_537, parts[2], 0, 0, 0, 0, 0),
    ]
    began_s = time.perf_counter()
    for text in odd:
        assert await refusal(endpoints, said(client_certificate=ClientCertificate(certificate, text))) == {KEY}
    assert time.perf_counter() - began_s < 3
    with pytest.raises(InvalidError, match="does not belong to the first certificate"):  # but it is a good one
        await endpoints.create(SCOPE, said(client_certificate=ClientCertificate(certificate, rsa_pem(*parts))))


@pytest.mark.parametrize("traditional", [False, True])
async def test_an_encrypted_key_says_how_to_decrypt_it(endpoints: Endpoints, traditional: bool) -> None:
    from cryptography.hazmat.primitives.serialization import PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    format_ = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    text = key_pem(key, b"hush", format_)
    certificate = ClientCertificate(self_signed(key).certificate_pem, text)
    with pytest.raises(InvalidError, match="openssl pkey") as caught:
        await endpoints.create(SCOPE, said(client_certificate=certificate))
    assert [problem.field for problem in caught.value.problems] == [KEY]


async def test_authorities(endpoints: Endpoints, authority: trustme.CA) -> None:
    for text in (
        pem(authority),
        pem(authority) + pem(trustme.CA()),
        self_signed().certificate_pem,
        self_signed(ca=False).certificate_pem,
        self_signed(ca=True).certificate_pem,
    ):
        assert (await endpoints.create(SCOPE, said(ca_pem=text))).extras.ca_pem == text


async def test_authorities_that_are_refused(endpoints: Endpoints, authority: trustme.CA) -> None:
    leaf = authority.issue_cert("a.example").cert_chain_pems[0].bytes().decode()
    for text in (
        "",
        "garbage",
        leaf,
        pem(authority) + leaf,
        pem(authority) * 21,
        pem(authority) + self_signed().private_key_pem,
        self_signed(end=NOW - DAY / 2, ca=True).certificate_pem,
        pem(authority) + "x" * 70_000,
    ):
        assert await refusal(endpoints, said(ca_pem=text)) == {("ca_pem",)}


async def test_what_expired_meanwhile_does_not_stand_in_the_way(
    endpoints: Endpoints, authority: trustme.CA, clock: ManualClock
) -> None:
    form = said(client_certificate=self_signed(), ca_pem=self_signed(ca=True).certificate_pem)
    made = await endpoints.create(SCOPE, form)
    clock.advance(10 * 86_400)
    changed = await endpoints.update(SCOPE, made.id, patch(description="new"))
    assert changed.extras == made.extras
    with pytest.raises(InvalidError):
        await endpoints.update(SCOPE, made.id, patch(ca_pem=self_signed(ca=True).certificate_pem))
    assert (await endpoints.update(SCOPE, made.id, patch(ca_pem=None))).extras.ca_pem is None


async def test_transforms(endpoints: Endpoints) -> None:
    made = await endpoints.create(SCOPE, said(transform="{id: id}"))
    assert (made.extras.transform, made.extras.transform_enabled) == ("{id: id}", True)
    assert await refusal(endpoints, said(transform="{id: id")) == {("transform",)}
    assert await refusal(endpoints, said(transform="")) == {("transform",)}

    off = await endpoints.set_transform(SCOPE, made.id, enabled=False)
    assert (off.extras.transform, off.extras.transform_enabled) == ("{id: id}", False)
    other = await endpoints.set_transform(SCOPE, made.id, code="{n: n}")
    assert (other.extras.transform, other.extras.transform_enabled) == ("{n: n}", False)
    kept = await endpoints.update(SCOPE, made.id, patch(description="new"))
    assert kept.extras == other.extras
    gone = await endpoints.set_transform(SCOPE, made.id, code=None)
    assert gone.extras == Extras()
    with pytest.raises(InvalidError, match="not JavaScript") as caught:
        await endpoints.set_transform(SCOPE, made.id, code="function handler(webhook) { return webhook }")
    assert [problem.field for problem in caught.value.problems] == [("code",)]
    with pytest.raises(InvalidError):
        await endpoints.update(SCOPE, made.id, patch(transform="{n"))
