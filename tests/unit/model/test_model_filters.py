"""Filters: exact names, globs, channels, and «all»."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model import Extras, Message, compile_filter, filter_of, wants
from support.samples import WHSEC, make_endpoint

names = st.lists(st.sampled_from(["order", "item", "created", "or", ""]), min_size=1, max_size=4).map(".".join)
patterns = names | names.map(lambda name: f"{name}.*") | st.just("*")
channel_names = st.sampled_from(["eu", "us", "vip"])


@pytest.mark.parametrize(
    ("event_types", "event_type", "wanted"),
    [
        (None, "anything", True),
        ([], "anything", False),
        (["*"], "anything.at.all", True),
        (["other", "*"], "anything", True),
        (["order.created"], "order.created", True),
        (["order.created"], "order.created.late", False),
        (["order.created"], "order", False),
        (["order.created"], "Order.Created", False),
        (["order.*"], "order.created", True),
        (["order.*"], "order.item.added", True),
        (["order.*"], "order", False),
        (["order.*"], "orders.created", False),
        (["order.*"], "reorder.created", False),
        (["a.*", "b.*", "c"], "b.x", True),
        (["a.*", "b.*", "c"], "c", True),
        (["a.*", "b.*", "c"], "c.x", False),
        (["order*"], "orders", False),  # a glob stands behind a dot only
    ],
)
def test_event_types(event_types, event_type, wanted):
    assert compile_filter(event_types, None).wants(event_type, ()) is wanted


@pytest.mark.parametrize(
    ("of_endpoint", "of_message", "wanted"),
    [
        (None, [], True),
        (None, ["eu"], True),
        (["eu"], [], False),
        (["eu"], ["us"], False),
        (["eu"], ["us", "eu"], True),
        (["eu", "vip"], ["vip"], True),
        ([], ["eu"], False),
    ],
)
def test_channels(of_endpoint, of_message, wanted):
    assert compile_filter(None, of_endpoint).wants("order.created", of_message) is wanted


def test_both_must_match():
    both = compile_filter(["order.*"], ["eu"])
    assert both.wants("order.created", ["eu"])
    assert not both.wants("user.created", ["eu"])
    assert not both.wants("order.created", ["us"])


@given(
    st.none() | st.lists(patterns, max_size=4),
    st.none() | st.lists(channel_names, max_size=3),
    names,
    st.lists(channel_names, max_size=3),
)
def test_agrees_with_the_plain_reading_of_the_rules(event_types, channels, event_type, of_message):
    def matches(pattern):
        if pattern == "*":
            return True
        if pattern.endswith(".*"):
            return event_type.startswith(pattern.removesuffix("*"))
        return event_type == pattern

    by_type = event_types is None or any(matches(pattern) for pattern in event_types)
    by_channel = channels is None or any(name in channels for name in of_message)
    assert compile_filter(event_types, channels).wants(event_type, of_message) is (by_type and by_channel)


def test_whether_an_endpoint_wants_a_message():
    picky = msgspec.structs.replace(
        make_endpoint("standard", WHSEC),
        event_types=("order.*",),
        channels=("eu",),
        extras=Extras(filter={"data.amount": {">": 100}}),
    )
    message = Message("m", "o", "a", "order.paid", b'{"data": {"amount": 101}}', (), 0, channels=("eu",))
    assert wants(picky, message)
    assert filter_of(picky).wants_message(message)
    for change in (
        {"event_type": "invoice.paid"},
        {"channels": ("us",)},
        {"payload": b'{"data": {"amount": 100}}'},
        {"payload": b"", "payload_expired": True},
    ):
        assert not wants(picky, msgspec.structs.replace(message, **change))
    assert wants(make_endpoint("standard", WHSEC), msgspec.structs.replace(message, payload=b""))
