"""`Retry-After`: seconds, dates, and everything that receivers send instead."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookline.model import parse_retry_after

NOW_MS = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  7\t", 7.0),
        ("007", 7.0),
        ("9" * 12, 999_999_999_999.0),
        ("9" * 13, inf),
        ("9" * 100_000, inf),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Tue Nov 14 22:13:50 2023", 30.0),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),  # past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_readable_values(text, seconds):
    assert parse_retry_after(text, NOW_MS) == seconds


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "   ",
        "soon",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "\u0661\u0662",  # Arabic digits
        "\u00b2",  # a superscript is a digit to isdigit()
        "5, 6",
        "2023-11-14T22:13:50Z",
        "Tue, 99 Nov 2023 22:13:50 GMT",
        "Tue, 14 Nov 2023 99:13:50 GMT",
        "Tue, 14 Nov 99999999 22:13:50 GMT",
    ],
)
def test_unreadable_values_say_nothing(text):
    assert parse_retry_after(text, NOW_MS) is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")), st.integers(0, 2**47))
@example("Mon, 01 Jan 0001 00:00:00 +1400", 0)
@example("Fri, 31 Dec 9999 23:59:59 -1400", 0)
@example("Fri, 31 Dec 9999 23:59:59 +999999999999", 0)
def test_no_text_breaks_it(text, now_ms):
    seconds = parse_retry_after(text, now_ms)
    assert seconds is None or seconds >= 0


@given(
    st.from_regex(
        r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} [A-Z+-]\w{0,8}", fullmatch=True
    )
)
def test_no_near_date_breaks_it(text):
    seconds = parse_retry_after(text, NOW_MS)
    assert seconds is None or seconds >= 0


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)), st.integers(0, 2**47))  # noqa: DTZ001
def test_dates_measure_from_now(moment, now_ms):
    moment = moment.replace(microsecond=0)
    seconds = parse_retry_after(format_datetime(moment, usegmt=True), now_ms)
    assert seconds == pytest.approx(max(0.0, moment.timestamp() - now_ms / 1000), abs=0.001)
