"""Ids: order, length, the way back to time and UUID, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hookline.model.ids import ID_LENGTH, hex_of, id_at, is_id, new_id, time_of
from support.samples import ACCEPTED_AT_MS, MESSAGE_HEX, MESSAGE_ID

LATEST_MS = 2**48 - 1
moments = st.integers(0, LATEST_MS)


def test_known_id_reads_back_as_its_uuid():
    assert hex_of(MESSAGE_ID) == MESSAGE_HEX
    assert time_of(MESSAGE_ID) == ACCEPTED_AT_MS


def test_new_id_has_the_documented_form():
    identifier = new_id("msg")
    assert re.fullmatch(r"msg_[0-7][0-9a-hjkmnp-tv-z]{25}", identifier)
    assert len(identifier) == len("msg_") + ID_LENGTH
    assert "." not in identifier
    made = uuid.UUID(hex_of(identifier))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_new_ids_are_unique_and_in_order():
    identifiers = [new_id("msg") for _ in range(20_000)]
    assert identifiers == sorted(identifiers)
    assert len(set(identifiers)) == len(identifiers)
    assert [name.encode() for name in identifiers] == sorted(name.encode() for name in identifiers)


def test_forked_process_makes_other_ids():
    # In a process of its own: this one may have threads, which a fork does not survive.
    script = """
import os
from hookline.model.ids import new_id
new_id("msg")
child = os.fork()
os.write(1, "".join(new_id("msg") + " " for _ in range(100)).encode())  # one write, short enough to stay whole
if child:
    os.waitpid(child, 0)
"""
    made = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert len(made) == 200
    assert len(set(made)) == 200


def test_new_id_is_not_before_its_own_moment():
    identifier = new_id("msg")
    at_ms = time_of(identifier)
    assert id_at("msg", at_ms) <= identifier < id_at("msg", at_ms + 1)


@given(moments)
def test_moment_survives_the_way_through_an_id(at_ms):
    assert time_of(id_at("msg", at_ms)) == at_ms


@given(moments, moments)
def test_ids_sort_as_their_moments_do(earlier, later):
    assume(earlier < later)
    assert id_at("ep", earlier) < id_at("ep", later)


@given(st.integers(0, 2**128 - 1))
def test_every_uuid_survives_the_way_through_text(value):
    # id_at reaches the upper 48 bits only: build the rest by hand, as the format says.
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    text = "".join(alphabet[value >> shift & 31] for shift in range(125, -1, -5))
    assert int(hex_of(f"msg_{text}"), 16) == value
    assert len(hex_of(f"msg_{text}")) == 32
    assert time_of(f"msg_{text}") == value >> 80
    assert is_id(f"msg_{text}", "msg")


@pytest.mark.parametrize(("at_ms", "clamped"), [(-1, 0), (-(10**30), 0), (2**48, LATEST_MS), (10**30, LATEST_MS)])
def test_moments_out_of_range_become_the_nearest(at_ms, clamped):
    assert id_at("msg", at_ms) == id_at("msg", clamped)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg_",
        "01h455vb4pex5vsknk084sn02q",  # no prefix
        "_01h455vb4pex5vsknk084sn02q",
        "msg_01h455vb4pex5vsknk084sn02",  # 25 characters
        "msg_01h455vb4pex5vsknk084sn02q0",
        "msg_01H455VB4PEX5VSKNK084SN02Q",  # upper case
        "msg_01h455vb4pex5vsknk084sn02u",  # no u in the alphabet
        "msg_81h455vb4pex5vsknk084sn02q",  # 129 bits
        "msg_01h455vb4pex5vsknk084sn02q\n",
        "msg_" + "\u0661" * 26,  # digits, but not ASCII
    ],
)
def test_other_texts_are_no_ids(text):
    assert not is_id(text, "msg")
    with pytest.raises(ValueError, match="not an id"):
        time_of(text)
    with pytest.raises(ValueError, match="not an id"):
        hex_of(text)


def test_is_id_wants_the_prefix():
    assert is_id(MESSAGE_ID, "msg")
    assert not is_id(MESSAGE_ID, "ep")
    assert not is_id(MESSAGE_ID, "")
    assert is_id("my_own_" + MESSAGE_ID.removeprefix("msg_"), "my_own")


@given(st.text(max_size=40))
@example(MESSAGE_ID)
def test_arbitrary_text_is_read_or_refused(text):
    if is_id(text, text.rpartition("_")[0]) and not text.startswith("_"):
        assert 0 <= time_of(text) < 2**48
    else:
        with pytest.raises(ValueError, match="not an id"):
            time_of(text)
