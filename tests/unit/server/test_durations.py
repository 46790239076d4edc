"""Lengths of time as texts."""

from __future__ import annotations

import pytest

from hookline.server.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        (" 5M ", 300),
    ],
)
def test_lengths_of_time(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "m", "5 y", "5y", "-1", "nan", "inf", "1e309", "1,5", "1h30m", "٣s3"])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="no length of time"):
        parse_duration(text)
