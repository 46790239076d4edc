"""`explain` names the mistake, for each of the common ones, and never turns a refusal into an acceptance."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest

from hookline.signatures import (
    Diagnosis,
    FindingCode,
    SignatureErrorCode,
    StandardSigner,
    SymmetricKey,
    explain,
    generate_ed25519,
    verify,
)

NOW_S = 1_750_000_000
ID = "msg_1"
SECRET = SymmetricKey(bytes(range(32)))
TEXT = SECRET.to_text()
PAIR = generate_ed25519(b"p" * 32)
BODY = '{"name": "Zoë", "list": [1, 2]}'.encode()


def build_headers(signature: str, timestamp: str = str(NOW_S), family: str = "webhook") -> dict[str, str]:
    return {f"{family}-id": ID, f"{family}-timestamp": timestamp, f"{family}-signature": signature}


def sign(body: bytes = BODY, key: bytes = SECRET.secret, prefix: str = f"{ID}.{NOW_S}.") -> bytes:
    return hmac.new(key, prefix.encode() + body, hashlib.sha256).digest()


def write(digest: bytes) -> str:
    return "v1," + base64.b64encode(digest).decode()


def get_codes(diagnosis: Diagnosis) -> list[str]:
    assert diagnosis.verified is None
    return [finding.code for finding in diagnosis.findings]


def get_message(diagnosis: Diagnosis, code: str) -> str:
    [message] = [finding.message for finding in diagnosis.findings if finding.code == code]
    return message


def test_a_valid_request_is_reported_as_verify_reports_it() -> None:
    headers = build_headers(StandardSigner(SECRET).sign(ID, NOW_S, BODY))
    diagnosis = explain(headers, BODY, TEXT, now_s=NOW_S + 7)
    assert diagnosis.verified == verify(headers, BODY, TEXT, now_s=NOW_S)
    [finding] = diagnosis.findings
    assert finding.code == FindingCode.VERIFIED
    assert "7 s ago" in finding.message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda body: body + b"\n", "line break at the end"),
        (lambda body: body + b"\r\n", "line break at the end"),
        (lambda body: b"  " + body + b" ", "white space"),
        (lambda body: b"\xef\xbb\xbf" + body, "byte order mark"),
        (lambda body: json.dumps(json.loads(body)).encode(), "non-ASCII kept"),
        (lambda body: json.dumps(json.loads(body), indent=4).encode(), "non-ASCII kept"),
    ],
)
def test_a_changed_body_is_named(change: Callable[[bytes], bytes], word: str) -> None:
    diagnosis = explain(build_headers(write(sign())), change(BODY), SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.NO_MATCH, FindingCode.BODY_CHANGED]
    assert word in get_message(diagnosis, FindingCode.BODY_CHANGED)


@pytest.mark.parametrize(
    "original",
    [
        b'{"name":"Zo\xc3\xab","list":[1,2]}',
        rb'{"name":"Zo\u00eb","list":[1,2]}',
        rb'{"name": "Zo\u00eb", "list": [1, 2]}',
        b'{"list":[1,2],"name":"Zo\xc3\xab"}',
        b'{\n  "name": "Zo\xc3\xab",\n  "list": [\n    1,\n    2\n  ]\n}',
        BODY + b"\n",
    ],
)
def test_the_original_body_is_found_from_the_changed_one(original: bytes) -> None:
    diagnosis = explain(build_headers(write(sign(original))), BODY, SECRET, now_s=NOW_S)
    assert FindingCode.BODY_CHANGED in get_codes(diagnosis)


@pytest.mark.parametrize(
    ("key", "given", "word"),
    [
        (TEXT.encode(), TEXT, "prefix and all"),
        (TEXT.removeprefix("whsec_").encode(), TEXT, "without the prefix"),
        (SECRET.secret, TEXT.removeprefix("whsec_"), "leniently"),
        (SECRET.secret, SECRET.secret.hex(), "hex"),
        (b"my own words", "my own words", "its own text"),
        (b"too short", "whsec_" + base64.b64encode(b"too short").decode(), "leniently"),
        (SECRET.secret, TEXT.replace("+", "-").replace("/", "_").rstrip("="), "leniently"),
    ],
)
def test_a_secret_read_differently_is_named(key: bytes, given: str, word: str) -> None:
    diagnosis = explain(build_headers(write(sign(key=key))), BODY, given, now_s=NOW_S)
    if FindingCode.VERIFIED in {finding.code for finding in diagnosis.findings}:
        assert given.rstrip("=") == TEXT.rstrip("=")  # nothing in this secret to tell the alphabets apart
        return
    assert FindingCode.SECRET_READ_DIFFERENTLY in get_codes(diagnosis)
    assert word in get_message(diagnosis, FindingCode.SECRET_READ_DIFFERENTLY)


@pytest.mark.parametrize(
    ("prefix", "word"), [("", "only the body"), (f"{NOW_S}.", "id is left out"), (f"{ID}.", "timestamp is left out")]
)
def test_another_scheme_is_named(prefix: str, word: str) -> None:
    diagnosis = explain(build_headers(write(sign(prefix=prefix))), BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.NO_MATCH, FindingCode.OTHER_SCHEME]
    assert word in get_message(diagnosis, FindingCode.OTHER_SCHEME)


@pytest.mark.parametrize(
    ("signature", "word"),
    [
        (sign().hex(), "bare, in hex"),
        ("v1," + sign().hex(), "in hex"),
        ("sha256=" + sign().hex().upper(), "'sha256=' in front"),
        (base64.b64encode(sign()).decode(), "bare, in base64"),
        ("v1=" + base64.b64encode(sign()).decode(), "'v1=' in front"),
        ("v1," + base64.urlsafe_b64encode(sign()).decode().rstrip("="), "unpadded or URL-safe"),
    ],
)
def test_another_spelling_is_named(signature: str, word: str) -> None:
    diagnosis = explain(build_headers(signature), BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.MALFORMED_HEADER, FindingCode.OTHER_SPELLING]
    assert word in get_message(diagnosis, FindingCode.OTHER_SPELLING)


def test_several_differences_are_named_together() -> None:
    headers = {"X-Hub-Signature-256": "sha256=" + sign(key=b"shared words", prefix="").hex()}
    diagnosis = explain(headers, BODY + b"\n", "shared words", now_s=NOW_S)
    assert get_codes(diagnosis) == [
        SignatureErrorCode.MALFORMED_KEY,
        SignatureErrorCode.MISSING_HEADER,
        FindingCode.OTHER_SIGNATURE_HEADER,
        FindingCode.BODY_CHANGED,
        FindingCode.SECRET_READ_DIFFERENTLY,
        FindingCode.OTHER_SCHEME,
        FindingCode.OTHER_SPELLING,
    ]
    assert "one of 4 differences" in get_message(diagnosis, FindingCode.OTHER_SCHEME)


def test_the_reading_with_the_fewest_differences_is_told() -> None:
    # Both families are sent and right: nothing needs to be read differently, only the time is over.
    headers = {**build_headers(write(sign())), **build_headers(write(sign()), family="svix")}
    diagnosis = explain(headers, BODY, SECRET, now_s=NOW_S + 4000)
    assert get_codes(diagnosis) == [SignatureErrorCode.TIMESTAMP_TOO_OLD, FindingCode.SIGNATURE_MATCHES]


def test_a_sender_that_signs_with_an_empty_secret_is_found_and_not_accepted() -> None:
    diagnosis = explain(build_headers(write(sign(key=b""))), BODY, "whsec_", now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.MALFORMED_KEY, FindingCode.SECRET_READ_DIFFERENTLY]


def test_headers_of_the_other_family_are_found() -> None:
    svix = build_headers(write(sign()), family="svix")
    wrong = {"webhook-id": "another", "webhook-timestamp": str(NOW_S), "webhook-signature": write(sign(b"another"))}
    diagnosis = explain({**svix, **wrong}, BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.NO_MATCH, FindingCode.OTHER_SCHEME]
    assert "svix-*" in get_message(diagnosis, FindingCode.OTHER_SCHEME)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_headers_are_named(name: str) -> None:
    headers = build_headers(write(sign()))
    del headers[name]
    diagnosis = explain(headers, BODY, SECRET, now_s=NOW_S)
    assert name in get_message(diagnosis, SignatureErrorCode.MISSING_HEADER)


def test_the_skew_is_told_in_seconds_and_the_signature_is_still_checked() -> None:
    headers = build_headers(write(sign()))
    late = explain(headers, BODY, SECRET, now_s=NOW_S + 4000)
    assert get_codes(late) == [SignatureErrorCode.TIMESTAMP_TOO_OLD, FindingCode.SIGNATURE_MATCHES]
    assert "4000 s" in get_message(late, SignatureErrorCode.TIMESTAMP_TOO_OLD)
    early = explain(headers, BODY, SECRET, now_s=NOW_S - 4000)
    assert get_codes(early) == [SignatureErrorCode.TIMESTAMP_TOO_NEW, FindingCode.SIGNATURE_MATCHES]


def test_milliseconds_are_recognised() -> None:
    timestamp = str(NOW_S * 1000 + 123)
    headers = build_headers(write(sign(prefix=f"{ID}.{timestamp}.")), timestamp)
    diagnosis = explain(headers, BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [
        SignatureErrorCode.TIMESTAMP_TOO_NEW,
        FindingCode.TIMESTAMP_IN_MILLISECONDS,
        FindingCode.SIGNATURE_MATCHES,
    ]


def test_a_fractional_timestamp_is_recognised() -> None:
    headers = build_headers(write(sign(prefix=f"{ID}.{NOW_S}.5.")), f"{NOW_S}.5")
    diagnosis = explain(headers, BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.MALFORMED_TIMESTAMP, FindingCode.SIGNATURE_MATCHES]


def test_all_that_is_wrong_is_told_at_once() -> None:
    diagnosis = explain(build_headers(write(sign())), BODY, ["whsec_", TEXT, "words"], now_s=NOW_S + 4000)
    assert get_codes(diagnosis) == [
        SignatureErrorCode.MALFORMED_KEY,
        SignatureErrorCode.MALFORMED_KEY,
        SignatureErrorCode.TIMESTAMP_TOO_OLD,
        FindingCode.SIGNATURE_MATCHES,
    ]
    assert [finding.message[:6] for finding in diagnosis.findings][:2] == ["Key 1:", "Key 3:"]


def test_a_key_of_the_wrong_kind_is_named() -> None:
    headers = build_headers(StandardSigner(PAIR).sign(ID, NOW_S, BODY))
    diagnosis = explain(headers, BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [
        SignatureErrorCode.NO_MATCH,
        FindingCode.WRONG_KIND_OF_KEY,
        FindingCode.NO_EXPLANATION,
    ]


@pytest.mark.parametrize("key", [PAIR, PAIR.to_text(), PAIR.verifying_key, PAIR.verifying_key.to_text()])
def test_ed25519_signatures_are_explained_as_well(key: str) -> None:
    headers = build_headers(StandardSigner(PAIR).sign(ID, NOW_S, BODY))
    diagnosis = explain(headers, BODY + b"\n", key, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.NO_MATCH, FindingCode.BODY_CHANGED]


def test_a_foreign_key_has_no_explanation() -> None:
    diagnosis = explain(build_headers(write(sign(key=b"f" * 32))), BODY, SECRET, now_s=NOW_S)
    assert get_codes(diagnosis) == [SignatureErrorCode.NO_MATCH, FindingCode.NO_EXPLANATION]


def test_large_bodies_are_tried_as_they_are() -> None:
    body = b"x" * 1_048_577
    assert FindingCode.SIGNATURE_MATCHES in get_codes(
        explain(build_headers(write(sign(body))), body, SECRET, now_s=NOW_S + 4000)
    )
    assert FindingCode.NO_EXPLANATION in get_codes(
        explain(build_headers(write(sign(body))), body + b"\n", SECRET, now_s=NOW_S)
    )


def test_no_finding_shows_a_secret() -> None:
    for given in (TEXT, TEXT.removeprefix("whsec_"), TEXT + "!", "whsec_" + "A" * 200):
        diagnosis = explain(build_headers("v1,nothing"), BODY + b"\n", given, now_s=NOW_S)
        for finding in diagnosis.findings:
            assert TEXT[6:16] not in finding.message
            assert "AAAAA" not in finding.message


@pytest.mark.parametrize("headers", [None, [], {b"a": b"b"}, {"webhook-id": b"x"}, {"webhook-signature": 5}])
@pytest.mark.parametrize("body", [None, "text", b""])
@pytest.mark.parametrize("keys", [None, [], 5, [None], ["\ud800"], b"x"])
def test_nothing_makes_it_raise(headers: object, body: object, keys: object) -> None:
    assert get_codes(explain(headers, body, keys, now_s=NOW_S))  # type: ignore[arg-type]


def test_deeply_nested_json_is_no_reason_to_fail() -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    assert FindingCode.NO_EXPLANATION in get_codes(explain(build_headers(write(sign())), body, SECRET, now_s=NOW_S))
