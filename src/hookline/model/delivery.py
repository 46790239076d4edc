"""The delivery's state machine: what may follow what, and how each state is shown.

    owed ──lease──> leased ──2xx──────────────> succeeded
     │                │ ├──failure, step left──> retrying ──lease──> leased
     │                │ ├──last failure────────> exhausted
     │                │ └──receiver said stop──> aborted
     │                └──node died─────────────> owed (counted: after three, exhausted as `poison`)
     ├──endpoint paused or disabled──> parked ──endpoint returns──> owed
     └──endpoint deleted, payload expired──> canceled      (from every state that is not an end)

An end is that of a round. A recovery begins another one for what ended without success: owed again, its past attempts
behind it.

A delivery has no row of its own while all goes well: *owed* is a target of a message with neither a final attempt
nor a pending row, *succeeded* is a final attempt. Only trouble has a row in `pending`.
"""

from __future__ import annotations

from enum import StrEnum

from hookline.errors import HooklineError


class DeliveryState(StrEnum):
    OWED = "owed"
    LEASED = "leased"
    RETRYING = "retrying"
    PARKED = "parked"
    DELAYED = "delayed"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    ABORTED = "aborted"
    CANCELED = "canceled"


_S = DeliveryState
ENDS = frozenset({_S.SUCCEEDED, _S.EXHAUSTED, _S.ABORTED, _S.CANCELED})
# A late success settles a delivery from wherever it stands, so SUCCEEDED follows every state that is not an end.
TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    _S.DELAYED: frozenset({_S.OWED, _S.PARKED, _S.SUCCEEDED, _S.CANCELED}),
    _S.OWED: frozenset({_S.LEASED, _S.PARKED, _S.SUCCEEDED, _S.EXHAUSTED, _S.CANCELED}),
    _S.LEASED: frozenset({_S.SUCCEEDED, _S.RETRYING, _S.EXHAUSTED, _S.ABORTED, _S.OWED, _S.PARKED, _S.CANCELED}),
    _S.RETRYING: frozenset({_S.LEASED, _S.PARKED, _S.SUCCEEDED, _S.CANCELED}),
    _S.PARKED: frozenset({_S.OWED, _S.DELAYED, _S.RETRYING, _S.SUCCEEDED, _S.CANCELED}),
    **{end: frozenset() for end in ENDS},
}


class IllegalTransitionError(HooklineError):
    """A delivery was asked to go where its state machine has no way."""

    code = "illegal_transition"


def advance(state: DeliveryState, to: DeliveryState) -> DeliveryState:
    """The next state.

    Raises:
        IllegalTransitionError: the state machine has no such step.
    """
    if to not in TRANSITIONS[state]:
        raise IllegalTransitionError(f"a delivery that is {state} cannot become {to}")
    return to


def state_of_pending(
    *, endpoint_enabled: bool, leased: bool, attempts: int, due_at_ms: int, now_ms: int
) -> DeliveryState:
    """The state of a delivery that has a row in `pending`."""
    if leased:
        return _S.LEASED
    if not endpoint_enabled:
        return _S.PARKED
    if attempts > 0:
        return _S.RETRYING
    return _S.DELAYED if due_at_ms > now_ms else _S.OWED


# Message status as the Svix API numbers it: 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
SVIX_STATUS: dict[DeliveryState, int] = {
    _S.SUCCEEDED: 0,
    _S.PARKED: 1,
    _S.DELAYED: 1,
    _S.EXHAUSTED: 2,
    _S.ABORTED: 2,
    _S.OWED: 3,
    _S.LEASED: 3,
    _S.RETRYING: 3,
    _S.CANCELED: 4,
}
SVIX_STATUS_TEXT = {0: "success", 1: "pending", 2: "fail", 3: "sending", 4: "canceled"}
