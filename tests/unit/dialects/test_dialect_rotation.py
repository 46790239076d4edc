"""Secrets over time: which ones sign, in which order, and to the millisecond when they stop."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.dialects import AttemptContext, DialectError, get_dialect
from hookline.model import EndpointSecret
from support.samples import MESSAGE_HEX, MESSAGE_ID, make_endpoint, make_message, make_whsec

STANDARD_FAMILY = ["standard", "openai", "cloudevents"]
FILLS = [bytes([65 + index]) for index in range(10)]


def sign(fill, message_id, now_ms, body):
    mac = hmac.digest(fill * 32, f"{message_id}.{now_ms // 1000}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def build(dialect, secrets, now_ms):
    prepared = get_dialect(dialect).prepare(make_endpoint(dialect, *secrets))
    return prepared.build(make_message(), AttemptContext(number=1, now_ms=now_ms))


@pytest.mark.parametrize("dialect", STANDARD_FAMILY)
@pytest.mark.parametrize(
    ("now_ms", "signing"),
    [(0, b"AB"), (49_999, b"AB"), (50_000, b"A"), (50_001, b"A"), (10**12, b"A")],
)
def test_replaced_secret_signs_until_it_expires(dialect, now_ms, signing):
    secrets = [EndpointSecret(make_whsec(b"A"), 0), EndpointSecret(make_whsec(b"B"), 0, 50_000)]
    request = build(dialect, secrets, now_ms)
    message_id = f"wh_{MESSAGE_HEX}" if dialect == "openai" else MESSAGE_ID
    expected = [sign(bytes([fill]), message_id, now_ms, request.body) for fill in signing]
    assert dict(request.headers)["webhook-signature"].split(" ") == expected


@given(
    st.lists(st.none() | st.integers(0, 100_000), min_size=1, max_size=10),
    st.integers(0, 110_000),
)
def test_exactly_the_live_secrets_sign_in_their_order(expiries, now_ms):
    secrets = [EndpointSecret(make_whsec(fill), 0, expiry) for fill, expiry in zip(FILLS, expiries, strict=False)]
    live = [fill for fill, expiry in zip(FILLS, expiries, strict=False) if expiry is None or expiry > now_ms]
    if not live:
        with pytest.raises(DialectError) as caught:
            build("standard", secrets, now_ms)
        assert caught.value.code == "no_live_secret"
        return
    request = build("standard", secrets, now_ms)
    expected = " ".join(sign(fill, MESSAGE_ID, now_ms, request.body) for fill in live)
    assert dict(request.headers)["webhook-signature"] == expected


def test_one_prepared_endpoint_serves_every_moment_also_backwards():
    secrets = [EndpointSecret(make_whsec(b"A"), 0), EndpointSecret(make_whsec(b"B"), 0, 50_000)]
    prepared = get_dialect("standard").prepare(make_endpoint("standard", *secrets))

    def count(now_ms):
        headers = dict(prepared.build(make_message(), AttemptContext(number=1, now_ms=now_ms)).headers)
        return len(headers["webhook-signature"].split(" "))

    assert [count(now_ms) for now_ms in (0, 60_000, 49_999, 50_000, 0)] == [2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("dialect", "header"),
    [("speech", "X-MicrosoftSpeechServices-Signature"), ("plain", "X-Webhook-Signature")],
)
def test_body_signatures_are_made_by_the_first_live_secret(dialect, header):
    secrets = [EndpointSecret("new", 0, 70_000), EndpointSecret("old", 0, 90_000)]
    for now_ms, key in ((0, b"new"), (69_999, b"new"), (70_000, b"old"), (89_999, b"old")):
        request = build(dialect, secrets, now_ms)
        mac = hmac.digest(key, request.body, "sha256")
        assert dict(request.headers)[header] in {mac.hex(), base64.b64encode(mac).decode()}
    with pytest.raises(DialectError) as caught:
        build(dialect, secrets, 90_000)  # not unsigned: it had secrets
    assert caught.value.code == "no_live_secret"


@pytest.mark.parametrize("dialect", ["standard", "openai", "speech", "plain", "cloudevents"])
def test_prepared_endpoints_do_not_show_secrets(dialect):
    key = make_whsec(b"A")
    prepared = get_dialect(dialect).prepare(make_endpoint(dialect, key))
    for name in type(prepared).__slots__:
        assert key[6:] not in repr(getattr(prepared, name))
        assert "AAAA" not in repr(getattr(prepared, name))
