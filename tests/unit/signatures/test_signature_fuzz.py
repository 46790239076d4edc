"""Whatever comes in, `SignatureError` and nothing else comes out: 10,000 malformed requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hookline.signatures import (
    Encoding,
    SignatureError,
    SignatureErrorCode,
    SymmetricKey,
    explain,
    parse_key,
    verify,
    verify_body,
    verify_connection,
)

NOW_S = 1_750_000_000
SIGNATURE = "v1," + "A" * 43 + "="
SIGNATURE_V1A = "v1a," + "A" * 86 + "=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SECRET = SymmetricKey(b"never used to sign anything here").to_text()
WRONG_TYPES = st.sampled_from([None, b"", b"v1,AAAA", 0, 1.5, [], True])

texts = st.one_of(st.text(max_size=60), st.text("v1a,=+/ AZaz09._-\t\n\x00é", max_size=100))
junk = st.one_of(texts, WRONG_TYPES)
ids = st.one_of(st.just("msg_1"), junk)
timestamps = st.one_of(st.just(str(NOW_S)), st.integers().map(str), st.floats().map(str), junk)
entries = st.one_of(
    st.just(SIGNATURE),
    st.just(SIGNATURE_V1A),
    st.sampled_from(["v1,", "v1a,", "v2,x", "v1", ",", "v1,,", SIGNATURE[:-1], SIGNATURE_V1A[:-2], "v1a," + "=" * 88]),
    texts,
)
signatures = st.one_of(st.lists(entries, max_size=20).map(" ".join), junk)
prefixes = st.sampled_from(["webhook-", "svix-", "Webhook-", "WEBHOOK-"])
headers = st.one_of(
    st.builds(
        lambda prefix, message_id, timestamp, signature, others: {
            **others,
            prefix + "id": message_id,
            prefix + "timestamp": timestamp,
            prefix + "signature": signature,
        },
        prefixes,
        ids,
        timestamps,
        signatures,
        st.dictionaries(st.one_of(texts, st.sampled_from(["webhook-id", "svix-signature"])), junk, max_size=2),
    ),
    st.dictionaries(junk.filter(lambda name: not isinstance(name, list)), junk, max_size=3),
    junk,
)
bodies = st.one_of(st.binary(max_size=50), junk)
key_texts = st.one_of(
    st.just(SECRET),
    st.just(PUBLIC_KEY),
    st.builds(str.__add__, st.sampled_from(["whsec_", "whsk_", "whpk_", ""]), texts),
    junk,
)
keys = st.one_of(st.lists(key_texts, max_size=4), key_texts)

# Shrinking this many values is slow and of little help: a failing example is short as it is.
thorough = settings(
    max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def expect_signature_error(function: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(SignatureError) as caught:
        function(*arguments, **named)
    assert caught.value.code in set(SignatureErrorCode)
    assert caught.value.message


@thorough
@given(headers, bodies, keys, signatures)
@example({}, b"", [], "")
@example(
    {"webhook-id": "m", "webhook-timestamp": str(NOW_S), "webhook-signature": SIGNATURE_V1A}, b"", [PUBLIC_KEY], ""
)
def test_malformed_requests_raise_signature_errors_only(headers: Any, body: Any, keys: Any, signature: Any) -> None:
    expect_signature_error(verify, headers, body, keys, now_s=NOW_S)
    expect_signature_error(verify_body, signature, body, keys, Encoding.HEX)
    expect_signature_error(verify_body, signature, body, keys, Encoding.BASE64)
    expect_signature_error(verify_connection, signature, body, keys)


@settings(max_examples=1000)
@given(headers, bodies, keys)
def test_a_diagnosis_never_raises_and_never_accepts(headers: Any, body: Any, keys: Any) -> None:
    diagnosis = explain(headers, body, keys, now_s=NOW_S)
    assert diagnosis.verified is None
    assert diagnosis.findings


@settings(max_examples=1000)
@given(key_texts)
def test_a_key_is_read_or_refused(text: Any) -> None:
    try:
        key = parse_key(text)
    except SignatureError:
        return
    assert parse_key(key.to_text()) == key
