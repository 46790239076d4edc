"""The rules that several nouns share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.services.errors import InvalidError
from hookline.services.validation import (
    Findings,
    check_channels,
    check_event_types,
    check_metadata,
    check_name,
    check_throttle_rate,
    check_uid,
    find_repeated,
    is_event_type,
    is_text,
    unique,
)


def fields(findings: Findings) -> list[tuple[str | int, ...]]:
    return [problem.field for problem in findings.problems]


@pytest.mark.parametrize("uid", ["a", "A-z_0.9", "app", "application", "x" * 256, ".", "-", "ep_1"])
def test_good_uids(uid: str) -> None:
    findings = Findings()
    check_uid(uid, "app", findings)
    check_uid(None, "app", findings)
    findings.finish()


@pytest.mark.parametrize("uid", ["", "app_", "app_1", "x" * 257, "a b", "a/b", "é", "a\n", "\x00", "a\u200b", "\uff41"])
def test_bad_uids(uid: str) -> None:
    findings = Findings()
    check_uid(uid, "app", findings)
    assert fields(findings) == [("uid",)]
    with pytest.raises(InvalidError):
        findings.finish()


@pytest.mark.parametrize("name", ["a", "order.created", "ORDER-created_2", "x" * 256, "..", "-"])
def test_good_event_types(name: str) -> None:
    assert is_event_type(name)


@pytest.mark.parametrize("name", ["", "a b", "a*", "order.*", "x" * 257, "a\n", "é", "a/b", "a\x00"])
def test_bad_event_types(name: str) -> None:
    assert not is_event_type(name)


@pytest.mark.parametrize("names", [None, ["a"], ["order.*"], ["*"], ["a.b.*", "c"]])
def test_good_filters(names: list[str] | None) -> None:
    findings = Findings()
    check_event_types(names, findings)
    assert not findings.problems


@pytest.mark.parametrize("names", [["a.*.b"], ["a*"], ["**"], [".*"], ["*.a"], [""], ["a", "b c"]])
def test_bad_filters(names: list[str]) -> None:
    findings = Findings()
    check_event_types(names, findings)
    assert fields(findings) == [("event_types", len(names) - 1)]


def test_a_filter_that_takes_nothing_or_too_much() -> None:
    for names in ([], ["a"] * 1_001):
        findings = Findings()
        check_event_types(names, findings)
        assert fields(findings) == [("event_types",)]


def test_channels() -> None:
    findings = Findings()
    check_channels(None, 2, findings)
    check_channels(["a", "b"], 2, findings)
    check_channels(["x" * 128], 2, findings)
    assert not findings.problems
    check_channels([], 2, findings)
    check_channels(["a", "b", "c"], 2, findings)
    check_channels(["x" * 129], 2, findings)
    check_channels(["a", "b c"], 2, findings)
    assert fields(findings) == [("channels",), ("channels",), ("channels", 0), ("channels", 1)]


def test_names_rates_and_metadata() -> None:
    findings = Findings()
    check_name("Ünïcode", findings)
    check_throttle_rate(None, findings)
    check_throttle_rate(1, findings)
    check_throttle_rate(65_535, findings)
    check_metadata({}, findings)
    check_metadata({"k": "x" * 4_000}, findings)
    assert not findings.problems
    check_name("   ", findings)
    check_name("\ud800", findings)
    check_throttle_rate(0, findings)
    check_throttle_rate(65_536, findings)
    check_metadata({"k": "x" * 4_096}, findings)
    check_metadata({"k": "é" * 2_048}, findings)
    check_metadata({"\ud800": ""}, findings)
    assert fields(findings) == [("name",)] * 2 + [("throttle_rate",)] * 2 + [("metadata",)] * 3


@given(st.text(alphabet=st.characters()))
def test_text_is_what_can_be_stored(text: str) -> None:
    try:
        storable = "\x00" not in text and bool(text.encode() or b"empty")
    except UnicodeEncodeError:
        storable = False
    assert is_text(text) == storable


def test_unique_keeps_the_order() -> None:
    assert unique(["b", "a", "b"]) == ("b", "a")
    assert unique(None) is None


def test_a_name_that_is_there_twice() -> None:
    assert find_repeated([]) is None
    assert find_repeated(["a", "b", ""]) is None
    assert find_repeated(["b", "a", "a", "b"]) == "a"
    assert find_repeated(["", "a", ""]) == ""
