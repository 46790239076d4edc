"""What a Svix server says, in Hookline's words; and what differs between two such descriptions."""

from __future__ import annotations

from typing import Any

import pytest

from hookline.cli.svix_import.translation import (
    MARKER,
    Copies,
    describe_application,
    describe_endpoint,
    describe_event_type,
    find_changes,
    find_header_changes,
    missing_names,
)

ENDPOINT: dict[str, Any] = {"id": "ep_1", "uid": "main", "url": "https://example.com/x"}


def test_the_least_that_an_endpoint_says() -> None:
    assert describe_endpoint(ENDPOINT) == {
        "url": "https://example.com/x",
        "uid": "main",
        "description": "",
        "version": 1,
        "eventTypes": None,
        "channels": None,
        "disabled": False,
        "throttleRate": None,
        "metadata": {},
    }


def test_older_names_count_where_newer_ones_are_missing() -> None:
    older = {**ENDPOINT, "filterTypes": ["a"], "rateLimit": 5}
    assert (describe_endpoint(older)["eventTypes"], describe_endpoint(older)["throttleRate"]) == (["a"], 5)
    both = {**older, "eventTypes": ["b"], "throttleRate": 6}
    assert (describe_endpoint(both)["eventTypes"], describe_endpoint(both)["throttleRate"]) == (["b"], 6)
    assert describe_application({"id": "app_1", "uid": "u", "name": "A", "rateLimit": 5})["throttleRate"] == 5
    assert describe_event_type({"name": "a", "featureFlag": "beta"})["featureFlags"] == ["beta"]
    assert describe_event_type({"name": "a", "featureFlag": "x", "featureFlags": ["y"]})["featureFlags"] == ["y"]


def test_only_what_has_no_uid_is_marked() -> None:
    assert describe_endpoint({**ENDPOINT, "uid": None, "metadata": {"a": "b"}})["metadata"] == {
        "a": "b",
        MARKER: "ep_1",
    }
    # The source may have been copied to itself: its mark is no metadata of the customer's.
    assert describe_endpoint({**ENDPOINT, "metadata": {"a": "b", MARKER: "ep_0"}})["metadata"] == {"a": "b"}


def test_credentials_leave_the_url() -> None:
    wanted = describe_endpoint({**ENDPOINT, "url": "https://us%40er:p%3Ass@example.com:8443/x?y=1"})
    assert wanted["url"] == "https://example.com:8443/x?y=1"
    assert wanted["auth"] == {"type": "basic", "username": "us@er", "password": "p:ss"}
    copy = {**describe_endpoint(ENDPOINT), "url": wanted["url"]}
    assert find_changes(wanted, {**copy, "auth": {"type": "basic", "username": "us@er"}}) == {}
    assert find_changes(wanted, {**copy, "auth": None}) == {"auth": wanted["auth"]}


def test_copies_are_found_by_uid_or_by_their_mark() -> None:
    by_uid = {"id": "app_a", "uid": "acme", "metadata": {}}
    by_mark = {"id": "app_b", "uid": None, "metadata": {MARKER: "app_2"}}
    copies = Copies([by_uid, by_mark])
    assert copies.find({"id": "app_1", "uid": "acme"}) is by_uid
    assert copies.find({"id": "app_2", "uid": None}) is by_mark
    assert copies.find({"id": "app_2", "uid": "named since"}) is by_mark
    assert copies.find({"id": "app_3", "uid": None}) is None
    assert copies.find({"id": "app_3", "uid": "other"}) is None


@pytest.mark.parametrize(
    ("wanted", "copy", "changes"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, {}),
        ({"a": None}, {}, {}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, {}),
        ({"a": ["x"]}, {"a": None}, {"a": ["x"]}),
        ({"a": None, "b": 2}, {"a": 1, "b": 2}, {"a": None}),
    ],
)
def test_changes(wanted: dict[str, Any], copy: dict[str, Any], changes: dict[str, Any]) -> None:
    assert find_changes(wanted, copy) == changes


def test_header_names_have_no_case() -> None:
    assert find_header_changes({"X-A": "1", "X-B": "2"}, {"x-a": "1", "x-b": "3", "x-c": "4"}) == {
        "X-B": "2",
        "x-c": None,
    }
    assert missing_names(["Authorization", "X-Api-Key"], ["authorization"]) == ["X-Api-Key"]
