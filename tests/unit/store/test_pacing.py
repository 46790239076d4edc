"""The arithmetic of rates, in virtual time: never more than the rate, and no less while somebody asks."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.store.changes import SlotRequest
from hookline.store.pacing import HORIZON_S, MOST_KNOWN, Rates, give_slots

SECOND = 1_000_000_000
NOW = 1_764_000_000 * SECOND


def test_slots_follow_each_other():
    count, start, until = give_slots(0, NOW, 100, 5)
    assert (count, start, until) == (5, NOW, NOW + SECOND // 20)
    count, start, until = give_slots(until, NOW, 100, 100)
    assert (count, start, until) == (20, NOW + SECOND // 20, NOW + SECOND // 4)
    assert give_slots(until, NOW, 100, 1) == (0, NOW, until)  # ask again at once: the horizon moves


def test_nothing_is_saved_up():
    _, _, until = give_slots(0, NOW, 10, 1)
    count, start, _ = give_slots(until, NOW + 60 * SECOND, 10, 1_000)
    assert (count, start) == (2, NOW + 60 * SECOND)


def test_a_slow_rate_gives_one_at_a_time_and_says_when_to_ask_again():
    count, start, until = give_slots(0, NOW, 1, 100)
    assert (count, start, until) == (1, NOW, NOW + SECOND)
    assert give_slots(until, NOW, 1, 100) == (0, NOW + SECOND * 3 // 4, until)
    later = NOW + SECOND * 3 // 4 + 1
    assert give_slots(until, later, 1, 100) == (1, until, until + SECOND)


def test_a_clock_that_was_set_back_does_not_stop_a_rate():
    assert give_slots(NOW + 3_600 * SECOND, NOW, 10, 1)[:2] == (1, NOW)


@given(st.integers(1, 65_535), st.integers(1, 5), st.integers(0, 2**32))
def test_many_nodes_together_use_the_rate_and_no_more(rate: int, nodes: int, seed: int) -> None:
    """Nodes ask at moments of their own, for as much as they like; all of it is counted."""
    rng = random.Random(seed)
    until, now = 0, NOW
    slots: list[int] = []
    while now < NOW + 3 * SECOND and len(slots) < 3_000:
        now += rng.randrange(SECOND // (100 * nodes))
        count, start, until = give_slots(until, now, rate, rng.randrange(1, max(2, rate // 8 + 1)))
        slots += [start + index * (SECOND // rate) for index in range(count)]
        assert not slots or slots[-1] <= now + HORIZON_S * SECOND + SECOND
    interval = SECOND // rate
    assert all(later - earlier >= interval for earlier, later in itertools.pairwise(slots))
    in_a_second = sum(1 for slot in slots if slot < slots[0] + SECOND)
    assert in_a_second <= rate + rate // 1_000 + 1
    if rate <= 500:
        assert in_a_second >= rate * 0.9 - 1


@pytest.mark.parametrize("key", ["ep_1", "app_1"])
def test_rates_of_one_process(key):
    rates = Rates()
    first, other = rates.take([SlotRequest(key, 10, 1), SlotRequest("other", 10, 1)], NOW)
    assert (first.key, first.delay_s, first.count) == (key, 0.0, 1)
    assert other.delay_s == 0.0
    (second,) = rates.take([SlotRequest(key, 10, 5)], NOW + SECOND // 100)
    assert (second.delay_s, second.count) == (pytest.approx(0.09), 1)


def test_rates_that_are_not_used_are_forgotten():
    rates = Rates()
    rates.take([SlotRequest(str(number), 1, 1) for number in range(MOST_KNOWN + 1)], NOW)
    rates.take([SlotRequest("used", 1, 1)], NOW + 2 * SECOND)
    assert set(rates._taken_until_ns) == {"used"}
