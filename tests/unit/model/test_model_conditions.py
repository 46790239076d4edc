"""Conditions on payloads: each operator, what is missing or of another type, combinations, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model import ConditionError, compile_conditions
from hookline.model.conditions import MAX_CONDITIONS, MAX_VALUES

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("wish", "matching", "other"),
    [
        (5, [5, 5.0], [6, "5", True, [5], None]),
        (1, [1], [True, "1"]),
        (True, [True], [1, "true", False]),
        (None, [None], [0, "", False]),
        ("b", ["b"], ["a", "B", "bb", 1, ["b"]]),
        ("a.*", ["a.", "a.b", "a.b.c"], ["a", "b", 1, None]),
        ("*", ["", "anything"], [1, None, [], {}]),
        (["a.*", "b", 3, None], ["a.x", "b", 3, None], ["c", 4, False, {}]),
        ({"=": "a*"}, ["a*"], ["ab"]),
        ({"=": ["x", 1]}, ["x", 1], ["y", True]),
        ({"!=": "DE"}, ["FR", 5, None, []], ["DE"]),
        ({"not": ["DE", "A*"]}, ["FR", 5, None], ["DE", "AT"]),
        ({"not": {">": 3}}, [3, "x", None], [4]),
        ({">": 100}, [101, 100.5], [100, "200", True, None, [101]]),
        ({">=": 100, "<": 200}, [100, 199.9], [99, 200, "150"]),
        ({"<=": "2024-05"}, ["2024-05", "2024-04-30"], ["2024-06", 3, None]),
        ({">": 0}, [1, 2**70], [True, 0, False]),
        ({"starts_with": "ab"}, ["ab", "abc"], ["a", 1, ["ab"]]),
        ({"ends_with": ".pdf"}, ["x.pdf"], ["x.pdf.exe", None]),
        ({"contains": "b"}, ["abc", ["a", "b"]], ["ac", ["abc"], {"b": 1}, 1]),
        ({"contains": 1}, [[1, 2]], ["1", [True], [[1]]]),
        ({"exists": True}, [None, False, 0, "", {}], []),
    ],
)
def test_what_is_asked_of_a_value(wish, matching, other):
    test = compile_conditions({"data.x": wish})
    for value in matching:
        assert test({"data": {"x": value}}), value
    for value in other:
        assert not test({"data": {"x": value}}), value
    for nothing in ({}, {"data": {}}, {"data": 5}, {"data": [{"x": 5}]}, None, [], "x"):
        assert not test(nothing)  # what is not there never matches


def test_what_must_not_be_there():
    test = compile_conditions({"a.b": {"exists": False}})
    assert test({})
    assert test({"a": 1})
    assert test(None)
    assert not test({"a": {"b": None}})
    none = compile_conditions({"a[*].b": {"exists": False}})
    assert none({"a": [1, {}]})
    assert not none({"a": [{}, {"b": 1}]})


def test_members_are_all_asked_for_and_groups_combine():
    test = compile_conditions(
        {
            "type": ["order.*"],
            "any": [{"vip": True}, {"amount": {">=": 1000}, "country": "DE"}],
            "all": [{"id": {"exists": True}}],
            "not": {"test": True},
        }
    )
    good = {"type": "order.paid", "id": 1, "vip": True}
    assert test(good)
    assert test({**good, "test": False})
    assert test({**good, "vip": False, "amount": 1000, "country": "DE"})
    assert not test({**good, "vip": False, "amount": 1000})
    assert not test({**good, "type": "invoice.paid"})
    assert not test({**good, "test": True})
    assert not test({"type": "order.paid", "vip": True})


def test_names_of_groups_are_paths_with_a_dollar():
    assert compile_conditions({"$.any": 1, "$.not": 2})({"any": 1, "not": 2})


def test_one_element_meets_all_of_a_condition():
    test = compile_conditions({"items[*].price": {">": 10, "<": 20}})
    assert test({"items": [{"price": 5}, {"price": 15}]})
    assert not test({"items": [{"price": 5}, {"price": 25}]})
    some_other = compile_conditions({"tags[*]": {"not": "a"}})
    assert some_other({"tags": ["a", "b"]})
    assert not some_other({"tags": ["a"]})
    assert not some_other({"tags": []})
    none = compile_conditions({"not": {"tags[*]": "a"}})
    assert none({"tags": ["b"]})
    assert none({})
    assert not none({"tags": ["b", "a"]})


def nested(depth: int, leaf: object) -> dict[str, object]:
    conditions: dict[str, object] = {"a": leaf}
    for _ in range(depth):
        conditions = {"not": conditions}
    return conditions


def nots(depth: int) -> dict[str, object]:
    wish: object = 1
    for _ in range(depth):
        wish = {"not": wish}
    return {"a": wish}


@pytest.mark.parametrize(
    ("conditions", "path"),
    [
        ({}, ()),
        ({"a": {}}, ("a",)),
        ({"a": {"like": "x"}}, ("a", "like")),
        ({"a..b": 1}, ("a..b",)),
        ({"a": []}, ("a",)),
        ({"a": [1, {"b": 2}]}, ("a", 1)),
        ({"a": list(range(MAX_VALUES + 1))}, ("a",)),
        ({"a": {">": True}}, ("a", ">")),
        ({"a": {">": [1]}}, ("a", ">")),
        ({"a": {"starts_with": 1}}, ("a", "starts_with")),
        ({"a": {"contains": ["x"]}}, ("a", "contains")),
        ({"a": {"exists": "yes"}}, ("a", "exists")),
        ({"a": {"exists": False, ">": 1}}, ("a",)),
        ({"a": {"not": {"exists": False}}}, ("a", "not", "exists")),
        ({"any": []}, ("any",)),
        ({"any": {"a": 1}}, ("any",)),
        ({"any": [{"a": 1}, 5]}, ("any", 1)),
        ({"all": [{"a": {"<": None}}]}, ("all", 0, "a", "<")),
        ({"not": ["DE"]}, ("not",)),
        (nested(9, 1), ("not",) * 9),
        ({str(number): 1 for number in range(MAX_CONDITIONS + 1)}, (str(MAX_CONDITIONS),)),
        ({"a": "x" * 9_000}, ()),
        ({"a": "\ud800"}, ()),
    ],
)
def test_what_cannot_be_understood_is_pointed_at(conditions, path):
    with pytest.raises(ConditionError) as refused:
        compile_conditions(conditions)
    assert refused.value.path == path
    assert refused.value.message


def test_depth_is_bounded_before_python_is():
    assert not compile_conditions(nots(4))({"a": 2})
    for hostile in (nots(900), nested(900, 1), nested(100_000, 1)):
        with pytest.raises(ConditionError):
            compile_conditions(hostile)


plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=2)
)
wishes = st.deferred(
    lambda: (
        plain
        | st.lists(plain, min_size=1, max_size=3)
        | st.dictionaries(
            st.sampled_from(["=", "!=", "not", ">", ">=", "<", "<=", "starts_with", "ends_with", "contains", "exists"]),
            plain,
            min_size=1,
            max_size=3,
        )
    )
)


@given(
    st.dictionaries(st.sampled_from(["a", "a.b", "a[0]", "a[*]", "b[*].a", '["a"]']), wishes, min_size=1, max_size=3),
    json_values,
)
def test_no_payload_makes_an_evaluation_raise(conditions, payload):
    try:
        test = compile_conditions(conditions)
    except ConditionError:
        return
    assert test(payload) in (True, False)
    negated = compile_conditions({"not": conditions})
    assert negated(payload) is not test(payload)
