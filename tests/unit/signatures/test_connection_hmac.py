"""`ce-signature` of Web PubSub against the formula of its documentation, computed with the standard library."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.signatures import ConnectionSigner, SignatureError, SignatureErrorCode, verify_connection

CONNECTION_ID = "0f4c9b62-connection"
KEYS = ["primary-access-key=", "secondary-access-key="]


def compute(key: str, connection_id: str) -> str:
    return "sha256=" + hmac.new(key.encode(), connection_id.encode(), hashlib.sha256).hexdigest()


def refuse(
    code: SignatureErrorCode, signature: object, connection_id: object = CONNECTION_ID, keys: object = KEYS
) -> None:
    with pytest.raises(SignatureError) as caught:
        verify_connection(signature, connection_id, keys)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_one_entry_per_key_primary_first() -> None:
    primary, secondary = (compute(key, CONNECTION_ID) for key in KEYS)
    assert ConnectionSigner(KEYS).sign(CONNECTION_ID) == f"{primary},{secondary}"
    assert ConnectionSigner(KEYS[0]).sign(CONNECTION_ID) == primary


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.lists(st.text("abc=é", min_size=1), min_size=1)
)
def test_equals_an_independent_computation(connection_id: str, keys: list[str]) -> None:
    signature = ConnectionSigner(keys).sign(connection_id)
    assert signature == ",".join(compute(key, connection_id) for key in keys)
    if len(keys) <= 16:
        assert verify_connection(signature, connection_id, keys) == 0


def test_either_key_matches_in_any_case_and_with_blanks() -> None:
    signature = ConnectionSigner(KEYS).sign(CONNECTION_ID)
    assert verify_connection(signature, CONNECTION_ID, KEYS[0]) == 0
    assert verify_connection(signature, CONNECTION_ID, KEYS[1]) == 0
    assert verify_connection(signature, CONNECTION_ID, ["rotated away", KEYS[1]]) == 1
    assert verify_connection(signature.upper().replace(",", " , "), CONNECTION_ID, KEYS) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        "sha256=",
        ",",
        compute(KEYS[0], CONNECTION_ID)[:-1],
        compute(KEYS[0], CONNECTION_ID) + "0",
        compute(KEYS[0], CONNECTION_ID).removeprefix("sha256="),
        compute(KEYS[0], CONNECTION_ID).replace("sha256", "sha1"),
        compute(KEYS[0], "another"),
        compute("another", CONNECTION_ID),
    ],
)
def test_truncated_extended_and_foreign_signatures_do_not_match(wrong: str) -> None:
    refuse(SignatureErrorCode.NO_MATCH, wrong)


def test_sixteen_entries_are_read() -> None:
    signature = ",".join(["sha256=00"] * 15 + [compute(KEYS[0], CONNECTION_ID)])
    assert verify_connection(signature, CONNECTION_ID, KEYS) == 0


def test_malformed_input() -> None:
    signature = ConnectionSigner(KEYS).sign(CONNECTION_ID)
    for absent in (None, ""):
        refuse(SignatureErrorCode.MISSING_HEADER, absent)
    for malformed in (b"bytes", 5, "é", ",".join(["sha256=00"] * 17)):
        refuse(SignatureErrorCode.MALFORMED_HEADER, malformed)
    for connection_id in ("", None, b"bytes", "\ud800"):
        refuse(SignatureErrorCode.MALFORMED_ID, signature, connection_id)
    for keys in ([], None):
        refuse(SignatureErrorCode.NO_KEY, signature, keys=keys)
    for keys in ("", [KEYS[0], ""], b"key", 5, "\ud800"):
        refuse(SignatureErrorCode.MALFORMED_KEY, signature, keys=keys)


def test_a_signer_refuses_what_cannot_be_signed() -> None:
    for keys in ("", []):
        with pytest.raises(SignatureError):
            ConnectionSigner(keys)
    with pytest.raises(SignatureError):
        ConnectionSigner(KEYS).sign("")
    assert repr(ConnectionSigner(KEYS)) == "ConnectionSigner(*** x 2)"
