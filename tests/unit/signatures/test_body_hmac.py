"""Body HMACs (Azure Speech in base64, plain in hex) against the standard library's own HMAC."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.signatures import BodySigner, Encoding, SignatureError, SignatureErrorCode, verify_body

BODY = '{"self":"https://example.com/é"}'.encode()


def compute(secret: str, body: bytes, encoding: Encoding) -> str:
    code = hmac.new(secret.encode("utf-8"), body, hashlib.sha256)
    return code.hexdigest() if encoding is Encoding.HEX else base64.b64encode(code.digest()).decode()


def refuse(code: SignatureErrorCode, signature: object, body: object, secrets: object, encoding: Encoding) -> None:
    with pytest.raises(SignatureError) as caught:
        verify_body(signature, body, secrets, encoding)  # type: ignore[arg-type]
    assert caught.value.code == code


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.binary(), st.sampled_from(Encoding))
def test_equals_an_independent_computation(secret: str, body: bytes, encoding: Encoding) -> None:
    signature = BodySigner(secret, encoding).sign(body)
    assert signature == compute(secret, body, encoding)
    assert verify_body(signature, body, secret, encoding) == 0


def test_known_value() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert BodySigner("Jefe", Encoding.HEX).sign(b"what do ya want for nothing?") == expected


@pytest.mark.parametrize("encoding", Encoding)
def test_any_secret_may_match(encoding: Encoding) -> None:
    signature = BodySigner("old", encoding).sign(BODY)
    assert verify_body(signature, BODY, ["new", "old", "older"], encoding) == 1
    refuse(SignatureErrorCode.NO_MATCH, signature, BODY, ["new", "older"], encoding)


@pytest.mark.parametrize("encoding", Encoding)
def test_changed_truncated_and_extended_signatures_do_not_match(encoding: Encoding) -> None:
    signature = BodySigner("secret", encoding).sign(BODY)
    assert verify_body(signature, bytearray(BODY), "secret", encoding) == 0
    changed = [signature[:-1], signature[:1], signature + "0", " " + signature, "0" * len(signature)]
    for wrong in changed:
        refuse(SignatureErrorCode.NO_MATCH, wrong, BODY, "secret", encoding)
    refuse(SignatureErrorCode.NO_MATCH, signature, BODY + b" ", "secret", encoding)
    refuse(SignatureErrorCode.NO_MATCH, signature, BODY, "secret ", encoding)


def test_case_matters_in_base64_only() -> None:
    assert verify_body(BodySigner("s", Encoding.HEX).sign(BODY).upper(), BODY, "s", Encoding.HEX) == 0
    base64_signature = BodySigner("s", Encoding.BASE64).sign(BODY)
    refuse(SignatureErrorCode.NO_MATCH, base64_signature.swapcase(), BODY, "s", Encoding.BASE64)


def test_encodings_do_not_stand_in_for_each_other() -> None:
    for made, read in ((Encoding.HEX, Encoding.BASE64), (Encoding.BASE64, Encoding.HEX)):
        refuse(SignatureErrorCode.NO_MATCH, BodySigner("s", made).sign(BODY), BODY, "s", read)


@pytest.mark.parametrize("encoding", Encoding)
def test_malformed_input(encoding: Encoding) -> None:
    signature = BodySigner("s", encoding).sign(BODY)
    for absent in (None, ""):
        refuse(SignatureErrorCode.MISSING_HEADER, absent, BODY, "s", encoding)
    for malformed in (b"bytes", 5, "é", "\ud800"):
        refuse(SignatureErrorCode.MALFORMED_HEADER, malformed, BODY, "s", encoding)
    for body in (None, "text", 5):
        refuse(SignatureErrorCode.MALFORMED_BODY, signature, body, "s", encoding)
    for secrets in ([], None):
        refuse(SignatureErrorCode.NO_KEY, signature, BODY, secrets, encoding)
    for secrets in ("", ["s", ""], [None], 5, b"s", "\ud800"):
        refuse(SignatureErrorCode.MALFORMED_KEY, signature, BODY, secrets, encoding)


@pytest.mark.parametrize("secret", ["", None, b"bytes", "\udfff"])
def test_a_signer_needs_a_secret(secret: object) -> None:
    with pytest.raises(SignatureError) as caught:
        BodySigner(secret, Encoding.HEX)  # type: ignore[arg-type]
    assert caught.value.code == SignatureErrorCode.MALFORMED_KEY
    assert caught.value.__context__ is None  # a UnicodeEncodeError there would carry the secret


def test_repr_shows_no_secret() -> None:
    assert repr(BodySigner("hunter2", Encoding.HEX)) == "BodySigner(***, hex)"
