"""Keys of an order: equal values have equal texts, others do not."""

from __future__ import annotations

import pytest

from hookline.model.ordering import NO_KEY, compile_order_key
from hookline.model.payload_path import PathError


def test_equal_values_have_one_key():
    key_of = compile_order_key("customer.id")
    assert key_of({"customer": {"id": 1}}) == key_of({"customer": {"id": 1.0}, "n": 2})
    assert key_of({"customer": {"id": {"a": 1, "b": 2}}}) == key_of({"customer": {"id": {"b": 2, "a": 1}}})
    values = [1, "1", True, None, "", [], {}, 2**70, 1.5, "x" * 10_000]
    keys = [key_of({"customer": {"id": value}}) for value in values]
    assert len(set(keys)) == len(values)
    assert all(len(key) == 32 for key in keys)


@pytest.mark.parametrize("payload", [{}, {"customer": 5}, {"customer": {}}, [], None, "x"])
def test_payloads_without_the_value_share_the_empty_key(payload):
    assert compile_order_key("customer.id")(payload) == NO_KEY == ""


@pytest.mark.parametrize("path", ["", "a..b", "items[*].id"])
def test_what_cannot_order(path):
    with pytest.raises(PathError):
        compile_order_key(path)
