"""Standard Webhooks: published vectors, rotation, tolerance and the ways a verifier has been fooled before."""

from __future__ import annotations

import base64
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.signatures import (
    Key,
    SignatureError,
    SignatureErrorCode,
    SigningKey,
    StandardSigner,
    SymmetricKey,
    Verified,
    generate_ed25519,
    parse_key,
    verify,
)

ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP_S = 1614265330
BODY = b'{"test": 2432232314}'
SECRET = SymmetricKey(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PAIR = parse_key("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
assert isinstance(PAIR, SigningKey)
PAIR_SIGNATURE = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
OTHER = SymmetricKey(b"another secret, another secret!!")

OPENAI_BODY = (
    b'{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, '
    b'"type": "response.completed", "data": {"id": "resp_123"}}'
)
VECTORS = [
    (SECRET.to_text(), ID, TIMESTAMP_S, BODY, SIGNATURE),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    (PAIR.to_text(), ID, TIMESTAMP_S, BODY, PAIR_SIGNATURE),
    (
        "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
        "wh_685c059ae39c8190af8c71ed1022a24d",
        1750861210,
        OPENAI_BODY,
        "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
    ),
]


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


@pytest.mark.parametrize(("key", "message_id", "timestamp_s", "body", "signature"), VECTORS)
def test_published_vectors(key: str, message_id: str, timestamp_s: int, body: bytes, signature: str) -> None:
    parsed = parse_key(key)
    assert isinstance(parsed, SymmetricKey | SigningKey)
    assert StandardSigner(parsed).sign(message_id, timestamp_s, body) == signature
    headers = build_headers(signature, message_id, str(timestamp_s))
    version = signature.partition(",")[0]
    assert verify(headers, body, key, now_s=timestamp_s) == Verified(message_id, timestamp_s, 0, version, "webhook")


def test_the_public_key_verifies() -> None:
    assert verify(build_headers(PAIR_SIGNATURE), BODY, PAIR.verifying_key, now_s=TIMESTAMP_S).version == "v1a"


@pytest.mark.parametrize("body", [bytearray(BODY), memoryview(BODY)])
def test_every_kind_of_bytes_is_a_body(body: bytes) -> None:
    assert StandardSigner(SECRET).sign(ID, TIMESTAMP_S, body) == SIGNATURE
    assert verify(build_headers(), body, SECRET, now_s=TIMESTAMP_S).message_id == ID


# Rotation


def test_the_header_lists_the_current_key_first() -> None:
    header = StandardSigner([SECRET, PAIR, OTHER]).sign(ID, TIMESTAMP_S, BODY)
    assert header.split(" ") == [SIGNATURE, PAIR_SIGNATURE, StandardSigner(OTHER).sign(ID, TIMESTAMP_S, BODY)]


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        ([SECRET, OTHER], 0),
        ([OTHER, SECRET], 1),
        ([OTHER, PAIR.verifying_key], 1),
        ([OTHER, OTHER, OTHER, PAIR, SECRET], 3),
        ([SECRET.to_text(), OTHER], 0),
        (iter([OTHER, SECRET]), 1),
    ],
)
def test_any_key_may_match_any_signature(keys: list[Key | str], index: int) -> None:
    header = f"v2,future {SIGNATURE[:-1]} v1,{'A' * 43}= {SIGNATURE}\t{PAIR_SIGNATURE}"
    assert verify(build_headers(header), BODY, keys, now_s=TIMESTAMP_S).key_index == index


def test_sixteen_signatures_are_the_most() -> None:
    sixteen = StandardSigner([OTHER] * 15 + [SECRET]).sign(ID, TIMESTAMP_S, BODY)
    assert verify(build_headers(sixteen), BODY, SECRET, now_s=TIMESTAMP_S)
    refuse(build_headers(f"{sixteen} {SIGNATURE}"), SignatureErrorCode.MALFORMED_HEADER)
    with pytest.raises(SignatureError) as caught:
        StandardSigner([SECRET] * 17)
    assert caught.value.code == SignatureErrorCode.MALFORMED_KEY


# Signatures that must not pass


@pytest.mark.parametrize(
    "signature",
    [
        "v1,",
        "v1",
        ",",
        "v1a,",
        "v1, ",
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE[:-1],
        SIGNATURE[:-2] + "=",
        SIGNATURE[:7],
        SIGNATURE + "=",
        SIGNATURE + "A",
        SIGNATURE.upper(),
        SIGNATURE.replace("v1,", "V1,"),
        SIGNATURE.replace("v1,", "v1="),
        SIGNATURE.replace("v1,", "v2,"),
        SIGNATURE.replace("v1,", "v1a,"),
        "v1,v1," + SIGNATURE.removeprefix("v1,"),
        "v1," + base64.b64encode(base64.b64decode(SIGNATURE[3:])[:16]).decode(),
        "v1,\u00e9" + SIGNATURE[4:],
        "v1a," + "!" * 88,
        "v1a," + base64.b64encode(base64.b64decode(PAIR_SIGNATURE[4:])[:32]).decode(),
        "v1a," + base64.b64encode(base64.b64decode(PAIR_SIGNATURE[4:]) + b"x").decode(),
        "\udc80",
        " ",
    ],
)
def test_truncated_and_malformed_signatures_are_no_signatures(signature: str) -> None:
    refuse(build_headers(signature), SignatureErrorCode.MALFORMED_HEADER, keys=[SECRET, PAIR])


@pytest.mark.parametrize("position", [3, 4, 20, 45])
def test_signatures_that_differ_in_one_character_do_not_match(position: int) -> None:
    wrong = SIGNATURE[:position] + ("A" if SIGNATURE[position] != "A" else "B") + SIGNATURE[position + 1 :]
    refuse(build_headers(wrong), SignatureErrorCode.NO_MATCH)


def test_another_spelling_of_the_same_bytes_does_not_match() -> None:
    # The last character before the padding has two unused bits: "E" and "F" decode to the same 32 bytes.
    respelled = SIGNATURE.replace("E=", "F=")
    assert base64.b64decode(respelled[3:]) == base64.b64decode(SIGNATURE[3:])
    refuse(build_headers(respelled), SignatureErrorCode.NO_MATCH)
    respelled = PAIR_SIGNATURE.replace("g==", "h==")
    assert base64.b64decode(respelled[4:]) == base64.b64decode(PAIR_SIGNATURE[4:])
    refuse(build_headers(respelled), SignatureErrorCode.MALFORMED_HEADER, keys=PAIR)


def test_a_key_of_the_other_kind_does_not_match() -> None:
    refuse(build_headers(SIGNATURE), SignatureErrorCode.NO_MATCH, keys=PAIR.verifying_key)
    refuse(build_headers(PAIR_SIGNATURE), SignatureErrorCode.NO_MATCH, keys=SECRET)


@settings(max_examples=500)
@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([SECRET, PAIR]))
    headers = build_headers(StandardSigner(key).sign(ID, TIMESTAMP_S, BODY))
    parts = [BODY, *(value.encode() for value in headers.values())]
    index = data.draw(st.integers(0, len(parts) - 1))
    position = data.draw(st.integers(0, len(parts[index]) - 1))
    changed = bytearray(parts[index])
    changed[position] ^= 1 << data.draw(st.integers(0, 6))
    parts[index] = bytes(changed)
    flipped = dict(zip(headers, (part.decode("latin-1") for part in parts[1:]), strict=True))
    with pytest.raises(SignatureError):
        verify(flipped, parts[0], key, now_s=TIMESTAMP_S, tolerance_s=math.inf)


def test_id_time_and_body_cannot_be_shifted_into_each_other() -> None:
    header = StandardSigner(SECRET).sign("msg", 1, b"2.body")
    refuse(build_headers(header, "msg.1", "2"), SignatureErrorCode.MALFORMED_ID, body=b"body", now_s=2)


# Time


@pytest.mark.parametrize("offset_s", [-300, 300, -299.999, 299.999, 0])
def test_exactly_the_tolerance_passes(offset_s: float) -> None:
    assert verify(build_headers(), BODY, SECRET, now_s=TIMESTAMP_S + offset_s)


@pytest.mark.parametrize("over_s", [0.001, 1, 10**9])
def test_beyond_the_tolerance_is_refused(over_s: float) -> None:
    old = refuse(build_headers(), SignatureErrorCode.TIMESTAMP_TOO_OLD, now_s=TIMESTAMP_S + 300 + over_s)
    new = refuse(build_headers(), SignatureErrorCode.TIMESTAMP_TOO_NEW, now_s=TIMESTAMP_S - 300 - over_s)
    assert "past" in old
    assert "future" in new


def test_the_tolerance_can_be_set() -> None:
    assert verify(build_headers(), BODY, SECRET, now_s=TIMESTAMP_S + 5, tolerance_s=5)
    refuse(build_headers(), SignatureErrorCode.TIMESTAMP_TOO_OLD, now_s=TIMESTAMP_S + 6, tolerance_s=5)
    refuse(build_headers(), SignatureErrorCode.TIMESTAMP_TOO_NEW, now_s=TIMESTAMP_S - 6, tolerance_s=5)


@pytest.mark.parametrize("times", [{"now_s": math.nan}, {"tolerance_s": math.nan}, {"now_s": math.inf}])
def test_a_broken_clock_fails_closed(times: dict[str, float]) -> None:
    refuse(build_headers(), SignatureErrorCode.TIMESTAMP_TOO_OLD, **times)


@pytest.mark.parametrize(
    "timestamp",
    [
        *("1614265330.0", "1.5", "-1", "+1614265330", " 1614265330", "01614265330", "1_614_265_330", "1e9", "0x1"),
        *("now", "\u0661\u0662", "\u00b2", "9" * 20, "9" * 5000, "1614265330\n"),
    ],
)
def test_only_plain_whole_numbers_are_timestamps(timestamp: str) -> None:
    refuse(build_headers(timestamp=timestamp), SignatureErrorCode.MALFORMED_TIMESTAMP)


# What a signer refuses


@pytest.mark.parametrize("keys", [[], ()])
def test_a_signer_needs_a_key(keys: list[SymmetricKey]) -> None:
    with pytest.raises(SignatureError) as caught:
        StandardSigner(keys)
    assert caught.value.code == SignatureErrorCode.NO_KEY


def test_a_public_key_cannot_sign() -> None:
    with pytest.raises(SignatureError) as caught:
        StandardSigner(PAIR.verifying_key)  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_KEY


@pytest.mark.parametrize("message_id", ["", "a.b", ".", "a b", "a\nb", "é", "x" * 257, None, b"msg"])
def test_ambiguous_ids_are_not_signed_and_not_verified(message_id: object) -> None:
    with pytest.raises(SignatureError) as caught:
        StandardSigner(SECRET).sign(message_id, TIMESTAMP_S, BODY)  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_ID
    if isinstance(message_id, str) and message_id:
        refuse(build_headers(message_id=message_id), SignatureErrorCode.MALFORMED_ID)


@pytest.mark.parametrize("message_id", ["!", "~", "-", "/", "a" * 256, "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "a,b:c"])
def test_visible_ascii_without_a_dot_is_an_id(message_id: str) -> None:
    header = StandardSigner(SECRET).sign(message_id, 0, b"")
    assert verify(build_headers(header, message_id, "0"), b"", SECRET, now_s=0).message_id == message_id


@pytest.mark.parametrize("timestamp_s", [-1, 1.5, 1614265330.0, True, "1614265330", None, 10**19])
def test_only_whole_seconds_are_signed(timestamp_s: object) -> None:
    with pytest.raises(SignatureError) as caught:
        StandardSigner(SECRET).sign(ID, timestamp_s, BODY)  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_TIMESTAMP


def test_text_bodies_are_not_signed() -> None:
    with pytest.raises(SignatureError) as caught:
        StandardSigner(SECRET).sign(ID, TIMESTAMP_S, "text")  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_BODY


@given(
    st.binary(max_size=200),
    st.integers(0, 10**19 - 1),
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4),
)
def test_whatever_is_signed_verifies(body: bytes, timestamp_s: int, seeds: list[bytes]) -> None:
    keys = [generate_ed25519(seed) if index % 2 else SymmetricKey(seed) for index, seed in enumerate(seeds)]
    headers = build_headers(StandardSigner(keys).sign(ID, timestamp_s, body), timestamp=str(timestamp_s))
    for key in keys:
        assert verify(headers, body, key, now_s=timestamp_s)


def test_repr_shows_how_many_keys_and_no_key() -> None:
    assert repr(StandardSigner([SECRET, OTHER])) == "StandardSigner(*** x 2)"
