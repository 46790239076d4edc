"""How far lists reach when nobody says so."""

from __future__ import annotations

import pytest

from hookline.model.ids import MESSAGE, id_at
from hookline.services.reach import REACH_MS, within_reach
from hookline.store import MessageFilter, Page

NOW = 1_750_000_000_000
DAY = 86_400_000
THERE = NOW - 200 * DAY
CURSOR = id_at(MESSAGE, THERE)


@pytest.mark.parametrize(
    ("page", "given", "expected"),
    [
        (Page(), (None, None), (NOW - REACH_MS, None)),
        (Page(after=CURSOR), (None, None), (THERE - REACH_MS, None)),
        (Page(before=CURSOR), (None, None), (THERE - REACH_MS, THERE + REACH_MS)),
        (Page(), (None, NOW - DAY), (NOW - DAY - REACH_MS, NOW - DAY)),
        (Page(after=CURSOR), (None, NOW), (THERE - REACH_MS, NOW)),
        (Page(before=CURSOR), (None, NOW), (THERE - REACH_MS, NOW)),
        (Page(), (THERE, None), (THERE, None)),
        (Page(after=CURSOR), (1, None), (1, None)),
        (Page(), (1, 2), (1, 2)),
    ],
)
def test_what_is_left_open(page: Page, given: tuple, expected: tuple) -> None:
    where = MessageFilter(channel="x", since_ms=given[0], until_ms=given[1])
    found = within_reach(page, where, NOW)
    assert (found.since_ms, found.until_ms) == expected
    assert found.channel == "x"
