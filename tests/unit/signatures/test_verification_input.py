"""What `verify` makes of headers, bodies and keys of every form, before any signature is compared."""

from __future__ import annotations

from email.message import Message

import pytest

from hookline.signatures import SignatureError, SignatureErrorCode, parse_key, verify

ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP_S = 1614265330
BODY = b'{"test": 2432232314}'
SECRET = parse_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def build_headers(
    signature: object = SIGNATURE,
    message_id: object = ID,
    timestamp: object = str(TIMESTAMP_S),
    family: str = "webhook",
) -> dict[str, str]:
    return {  # some tests pass what a type checker would refuse
        f"{family}-id": message_id,  # type: ignore[dict-item]
        f"{family}-timestamp": timestamp,  # type: ignore[dict-item]
        f"{family}-signature": signature,  # type: ignore[dict-item]
    }


def refuse(
    headers: object, code: SignatureErrorCode, *, body: object = BODY, keys: object = SECRET, **times: float
) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(headers, body, keys, **{"now_s": TIMESTAMP_S, **times})  # type: ignore[arg-type]
    assert caught.value.code == code
    return caught.value.message


# Headers


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_names_in_any_case_and_of_both_families(family: str, spell: type[str]) -> None:
    headers = {spell(name): value for name, value in build_headers(family=family).items()}
    assert verify(headers, BODY, SECRET, now_s=TIMESTAMP_S).header_family == family


def test_webhook_headers_are_preferred_and_families_never_mixed() -> None:
    wrong_svix = build_headers("v1,wrong", "other", "1", family="svix")
    assert verify({**wrong_svix, **build_headers()}, BODY, SECRET, now_s=TIMESTAMP_S).header_family == "webhook"
    wrong_webhook = {"webhook-id": "other", "webhook-timestamp": "1"}
    both = {**wrong_webhook, **build_headers(family="svix")}
    assert verify(both, BODY, SECRET, now_s=TIMESTAMP_S).header_family == "svix"
    mixed = {"webhook-id": ID, "svix-timestamp": str(TIMESTAMP_S), "svix-signature": SIGNATURE}
    assert "svix-id" in refuse(mixed, SignatureErrorCode.MISSING_HEADER)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "absent"])
def test_missing_headers_are_named(name: str, value: str | None) -> None:
    headers = build_headers()
    if value == "absent":
        del headers[name]
    else:
        headers[name] = value  # type: ignore[assignment]
    assert refuse(headers, SignatureErrorCode.MISSING_HEADER) == f"Missing or empty: {name}."


@pytest.mark.parametrize("value", [b"bytes", 5, ["list"], 1.0])
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_header_values_must_be_text(name: str, value: object) -> None:
    refuse({**build_headers(), name: value}, SignatureErrorCode.MALFORMED_HEADER)


@pytest.mark.parametrize("headers", [None, [], "text", b"bytes", 5, {b"webhook-id": b"x"}, [(b"webhook-id", b"x")]])
def test_headers_must_be_a_mapping_of_text(headers: object) -> None:
    code = SignatureErrorCode.MALFORMED_HEADER
    refuse(headers, code)


def test_a_repeated_header_passes_only_if_its_values_agree() -> None:
    headers = Message()
    for name, value in [*build_headers().items(), *build_headers().items()]:
        headers[name] = value
    assert verify(headers, BODY, SECRET, now_s=TIMESTAMP_S).message_id == ID
    headers["Webhook-Id"] = "msg_other"
    refuse(headers, SignatureErrorCode.MALFORMED_HEADER)


def test_names_are_folded_as_ascii_only() -> None:
    headers = {name.replace("k", "\u212a"): value for name, value in build_headers().items()}
    refuse(headers, SignatureErrorCode.MISSING_HEADER)


@pytest.mark.parametrize("body", [None, BODY.decode(), 5, [BODY]])
def test_bodies_must_be_bytes(body: object) -> None:
    refuse(build_headers(), SignatureErrorCode.MALFORMED_BODY, body=body)


# Keys


@pytest.mark.parametrize("keys", [[], (), None, iter([])])
def test_without_keys_nothing_verifies(keys: object) -> None:
    refuse(build_headers(), SignatureErrorCode.NO_KEY, keys=keys)


@pytest.mark.parametrize("keys", ["", [""], "whsec_", ["whsec_", SECRET], [None], 5, b"x" * 32, [SECRET, "whsec_QUJD"]])
def test_a_malformed_key_is_never_passed_over(keys: object) -> None:
    refuse(build_headers(), SignatureErrorCode.MALFORMED_KEY, keys=keys)


def test_an_empty_secret_verifies_nothing_not_even_its_own_signature() -> None:
    # HMAC under the empty key, as anyone can compute it.
    forged = "v1,JJgV8/ArJoWLDSq1mwOLWe7dXhWs1OZhRRZm0hpzSN0="
    for secret in ("", "whsec_", "whsec_===="):
        refuse(build_headers(forged), SignatureErrorCode.MALFORMED_KEY, keys=secret)
