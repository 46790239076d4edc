"""Secrets at rest: what opens, what does not, and that nothing is shown."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.store.errors import KeyCheckError
from hookline.store.sealing import KeyRing

COLUMN = "hookline_endpoints:secrets"
KEY_ONE = base64.b64encode(b"1" * 32).decode()
KEY_TWO = base64.b64encode(b"2" * 32).decode()


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_opens(value, row_id):
    ring = KeyRing.from_text(f"one:{KEY_ONE}")
    assert ring.open(ring.seal(value, COLUMN, row_id), COLUMN, row_id) == value


def test_sealing_twice_gives_two_texts():
    ring = KeyRing.generate()
    assert ring.seal(b"x", COLUMN, "ep_1") != ring.seal(b"x", COLUMN, "ep_1")


def test_the_form_is_key_id_nonce_ciphertext():
    key_id, nonce, sealed = KeyRing.from_text(f"one:{KEY_ONE}").seal(b"x", COLUMN, "ep_1").split(b".")
    assert key_id == b"one"
    assert len(base64.urlsafe_b64decode(nonce)) == 12
    assert len(base64.urlsafe_b64decode(sealed)) == 1 + 16


@pytest.mark.parametrize(
    ("column", "row_id"), [(COLUMN, "ep_2"), ("hookline_endpoints:headers", "ep_1"), ("hookline_endpoints", "secrets")]
)
def test_a_value_opens_in_its_own_place_only(column, row_id):
    ring = KeyRing.generate()
    with pytest.raises(KeyCheckError):
        ring.open(ring.seal(b"x", COLUMN, "ep_1"), column, row_id)


def test_every_byte_counts():
    ring = KeyRing.from_text(f"one:{KEY_ONE}")
    sealed = ring.seal(b"secret", COLUMN, "ep_1")
    for index in range(len(sealed) - 1):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(KeyCheckError):
            ring.open(bytes(changed), COLUMN, "ep_1")
    for broken in (b"", b"one", b"one..", b"one.a.b", b"\xff.a.b", sealed + b".x"):
        with pytest.raises(KeyCheckError):
            ring.open(broken, COLUMN, "ep_1")


def test_the_first_key_seals_and_all_open():
    old, both = KeyRing.from_text(f"one:{KEY_ONE}"), KeyRing.from_text(f"two:{KEY_TWO}, one:{KEY_ONE}")
    assert both.sealing_key_id == "two"
    assert both.open(old.seal(b"x", COLUMN, "1"), COLUMN, "1") == b"x"
    with pytest.raises(KeyCheckError):
        old.open(both.seal(b"x", COLUMN, "1"), COLUMN, "1")


def test_a_name_alone_is_no_key():
    one, other = KeyRing.from_text(f"k:{KEY_ONE}"), KeyRing.from_text(f"k:{KEY_TWO}")
    with pytest.raises(KeyCheckError):
        other.open(one.seal(b"x", COLUMN, "1"), COLUMN, "1")


@pytest.mark.parametrize(
    "text",
    ["", ":", "one", KEY_ONE, "one:", "one:abc", "one:####", f"o.ne:{KEY_ONE}", f"one:{KEY_ONE},one:{KEY_TWO}",
     f":{KEY_ONE}", f"one:{base64.b64encode(b'x' * 31).decode()}", f"one:{KEY_ONE},"],
)  # fmt: skip
def test_texts_that_are_no_ring(text):
    with pytest.raises(KeyCheckError) as caught:
        KeyRing.from_text(text)
    assert KEY_ONE not in str(caught.value)


def test_a_ring_survives_its_text_and_hides_in_its_repr():
    ring = KeyRing.generate()
    text = ring.to_text()
    assert KeyRing.from_text(text).open(ring.seal(b"x", COLUMN, "1"), COLUMN, "1") == b"x"
    secret = text.partition(":")[2]
    assert secret not in repr(ring)
    assert secret not in f"{ring}"


def test_the_check_tells_the_right_key_from_a_wrong_one():
    old, new = KeyRing.from_text(f"one:{KEY_ONE}"), KeyRing.from_text(f"two:{KEY_TWO},one:{KEY_ONE}")
    stored = old.make_check()
    assert old.verify_check(stored) is True
    assert new.verify_check(stored) is False  # opens, but is to be replaced
    assert new.verify_check(new.make_check()) is True
    for wrong in (KeyRing.generate(), KeyRing.from_text(f"one:{KEY_TWO}")):
        with pytest.raises(KeyCheckError):
            wrong.verify_check(stored)
    with pytest.raises(KeyCheckError):
        old.verify_check("nonsense")
