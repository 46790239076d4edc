"""Paths into a payload: what they look like, what they find, and that they never raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model.payload_path import MAX_ELEMENTS, MISSING, PathError, compile_path, find_all, parse_path

PAYLOAD = {
    "data": {"amount": 7, "a.b": 1, "none": None, "items": [{"sku": "x"}, {"sku": "y"}, 3, [["deep"]]]},
    "any": "reserved",
    "odd name-1": True,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("text", "steps", "found"),
    [
        ("data.amount", ("data", "amount"), 7),
        ("$.any", ("any",), "reserved"),
        ("odd name-1", ("odd name-1",), True),
        ('data["a.b"]', ("data", "a.b"), 1),
        ('["data"].amount', ("data", "amount"), 7),
        ("data.none", ("data", "none"), None),
        ("data.items[1].sku", ("data", "items", 1, "sku"), "y"),
        ("data.items[3][0][0]", ("data", "items", 3, 0, 0), "deep"),
        ("data.items[4]", ("data", "items", 4), MISSING),
        ("data.items.sku", ("data", "items", "sku"), MISSING),
        ("data.amount.more", ("data", "amount", "more"), MISSING),
        ("data[0]", ("data", 0), MISSING),
        ("nothing.here", ("nothing", "here"), MISSING),
    ],
)
def test_what_a_path_finds(text, steps, found):
    assert parse_path(text) == steps
    assert compile_path(steps)(PAYLOAD) == found
    assert find_all(PAYLOAD, steps) == ([] if found is MISSING else [found])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data.items[*].sku", ["x", "y"]),
        ("data.items[*][*][0]", ["deep"]),
        ("data[*]", []),
        ("data.items[*]", [{"sku": "x"}, {"sku": "y"}, 3, [["deep"]]]),
    ],
)
def test_any_element(text, found):
    assert find_all(PAYLOAD, parse_path(text)) == found


def test_a_long_array_is_looked_at_to_a_bound():
    payload = {"a": [[1] * MAX_ELEMENTS, [2] * MAX_ELEMENTS]}
    assert find_all(payload, parse_path("a[*][*]")) == [1] * MAX_ELEMENTS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$.",
        ".a",
        "a.",
        "a..b",
        "a[",
        "a[x]",
        "a[-1]",
        "a]b",
        "a[0]b",
        'a["b]',
        'a["\\x"]',
        "a" * 257,
        ".".join("a" * 17),
    ],
)
def test_what_is_no_path(text):
    with pytest.raises(PathError):
        parse_path(text)


@given(st.text(max_size=12), json_values)
def test_any_text_is_a_path_or_refused_and_looking_never_raises(text, payload):
    try:
        steps = parse_path(text)
    except PathError:
        return
    find_all(payload, steps)
    if None not in steps:
        compile_path(steps)(payload)
