"""The delivery's state machine."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model import (
    ENDS,
    SVIX_STATUS,
    SVIX_STATUS_TEXT,
    TRANSITIONS,
    DeliveryState,
    IllegalTransitionError,
    advance,
    state_of_pending,
)

STATES = list(DeliveryState)
S = DeliveryState


@pytest.mark.parametrize(("state", "to"), list(product(STATES, STATES)))
def test_advance_allows_exactly_the_table(state, to):
    if to in TRANSITIONS[state]:
        assert advance(state, to) is to
    else:
        with pytest.raises(IllegalTransitionError) as caught:
            advance(state, to)
        assert caught.value.code == "illegal_transition"
        assert state.value in caught.value.message
        assert to.value in caught.value.message


def test_ends_have_no_way_on_and_all_else_has():
    assert {state for state in STATES if not TRANSITIONS[state]} == ENDS


@pytest.mark.parametrize("state", [state for state in STATES if state not in ENDS])
def test_late_success_and_cancellation_come_from_everywhere(state):
    assert advance(state, S.SUCCEEDED) is S.SUCCEEDED
    assert advance(state, S.CANCELED) is S.CANCELED


@pytest.mark.parametrize("state", [state for state in STATES if state not in ENDS])
def test_every_end_can_be_reached_from_everywhere(state):
    reached, frontier = set(), {state}
    while frontier:
        reached |= frontier
        frontier = set().union(*(TRANSITIONS[step] for step in frontier)) - reached
    assert reached >= ENDS


def test_only_a_leased_delivery_can_be_tried():
    """An attempt's own outcomes, retry and abort, need the lease."""
    assert {state for state in STATES if S.ABORTED in TRANSITIONS[state]} == {S.LEASED}
    assert {state for state in STATES if S.RETRYING in TRANSITIONS[state]} == {S.LEASED, S.PARKED}


@pytest.mark.parametrize(
    ("enabled", "leased", "attempts", "due_at_ms", "expected"),
    [
        (True, True, 0, 0, S.LEASED),
        (False, True, 3, 99, S.LEASED),  # a request in flight is not called back
        (False, False, 0, 0, S.PARKED),
        (False, False, 3, 99, S.PARKED),
        (True, False, 1, 0, S.RETRYING),
        (True, False, 1, 99, S.RETRYING),
        (True, False, 0, 51, S.DELAYED),
        (True, False, 0, 50, S.OWED),  # due now
        (True, False, 0, 0, S.OWED),
    ],
)
def test_state_of_pending(enabled, leased, attempts, due_at_ms, expected):
    state = state_of_pending(endpoint_enabled=enabled, leased=leased, attempts=attempts, due_at_ms=due_at_ms, now_ms=50)
    assert state is expected


@given(st.integers(0, 5), st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_pausing_and_returning_are_steps_of_the_machine(attempts, due_at_ms, now_ms, leased):
    def look(*, enabled, leased):
        return state_of_pending(
            endpoint_enabled=enabled, leased=leased, attempts=attempts, due_at_ms=due_at_ms, now_ms=now_ms
        )

    before = look(enabled=True, leased=False)
    parked = look(enabled=False, leased=False)
    assert advance(before, parked) is S.PARKED
    assert advance(parked, before) is before
    assert look(enabled=leased, leased=True) not in ENDS


def test_every_state_is_shown_with_a_known_status():
    assert set(SVIX_STATUS) == set(STATES)
    assert set(SVIX_STATUS.values()) == set(SVIX_STATUS_TEXT)
    shown = {state: SVIX_STATUS_TEXT[SVIX_STATUS[state]] for state in STATES}
    assert shown[S.SUCCEEDED] == "success"
    assert shown[S.CANCELED] == "canceled"
    assert {state for state in STATES if shown[state] == "sending"} == {S.OWED, S.LEASED, S.RETRYING}
    assert {state for state in STATES if shown[state] == "pending"} == {S.PARKED, S.DELAYED}
    assert {state for state in STATES if shown[state] == "fail"} == {S.EXHAUSTED, S.ABORTED}
