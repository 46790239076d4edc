"""Alert rules and what follows from a measurement. Pure: whoever calls acts.

    ok ──at or above the threshold──> firing ──below four fifths of it──> ok
    firing ──renotify──> firing, told again

Between the two edges nothing changes, so a value that trembles about its threshold fires once. A change that nobody was
told of yet (the node died in between) is told again: better twice than never.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

RESOLVED_BELOW: Final = 0.8  # of the threshold


class AlertKind(StrEnum):
    FAILURE_RATE = "failure_rate"  # share of the attempts of a window that failed, 0 to 1
    OLDEST_WAITING = "oldest_waiting"  # seconds for which the oldest due delivery waits
    ENDPOINT_DISABLED = "endpoint_disabled"  # endpoints that were disabled by themselves
    EXHAUSTED = "exhausted"  # deliveries of a window that failed for good


class AlertState(StrEnum):
    OK = "ok"
    FIRING = "firing"


class AlertRule(msgspec.Struct, frozen=True):
    """What is watched, in an organization or (with `app_id`) in one application, and how it stands.

    `least` is how many attempts a failure rate needs to mean anything. `notify` names notifiers of the operator's.
    `changed_at_ms` is the start of the state, `value` what was measured then, `told_at_ms` when people were last told.
    """

    id: str
    org_id: str
    app_id: str | None
    name: str
    kind: AlertKind
    threshold: float
    window_ms: int
    least: int
    notify: tuple[str, ...]
    renotify_ms: int | None
    enabled: bool
    created_at_ms: int
    updated_at_ms: int
    state: AlertState = AlertState.OK
    value: float | None = None
    changed_at_ms: int = 0
    told_at_ms: int | None = None


class Measure(msgspec.Struct, frozen=True):
    """What was found. `count` is how many attempts a rate is made of; 1 for what is no rate."""

    value: float
    count: int = 1


class Verdict(msgspec.Struct, frozen=True):
    """The state from now on, whether that is a change, and whether people are to be told."""

    state: AlertState
    changed: bool
    tell: bool


def evaluate(rule: AlertRule, measure: Measure, now_ms: int) -> Verdict:
    """What a measurement means for a rule."""
    state = _next_state(rule, measure)
    if state is not rule.state:
        return Verdict(state, changed=True, tell=True)
    return Verdict(state, changed=False, tell=_is_due(rule, now_ms))


def _next_state(rule: AlertRule, measure: Measure) -> AlertState:
    if rule.kind is AlertKind.FAILURE_RATE and 0 < measure.count < rule.least:
        return rule.state  # too few to say anything; none at all means that nothing fails any more
    if measure.value >= rule.threshold:
        return AlertState.FIRING
    if measure.value < rule.threshold * RESOLVED_BELOW:
        return AlertState.OK
    return rule.state


def _is_due(rule: AlertRule, now_ms: int) -> bool:
    told_at_ms = rule.told_at_ms
    if told_at_ms is None or told_at_ms < rule.changed_at_ms:
        return True
    return rule.state is AlertState.FIRING and rule.renotify_ms is not None and now_ms - told_at_ms >= rule.renotify_ms


def describe(kind: AlertKind, value: float, window_ms: int) -> str:
    """What was measured, in a sentence."""
    window = write_duration(window_ms / 1000)
    if kind is AlertKind.FAILURE_RATE:
        return f"{value:.0%} of the attempts of the last {window} failed."
    if kind is AlertKind.OLDEST_WAITING:
        return f"The oldest due delivery waits for {write_duration(value)}."
    if kind is AlertKind.ENDPOINT_DISABLED:
        endpoints = "1 endpoint is" if value == 1 else f"{value:.0f} endpoints are"
        return f"{endpoints} disabled, and not by request."
    deliveries = "1 delivery" if value == 1 else f"{value:.0f} deliveries"
    return f"{deliveries} failed for good within the last {window}."


def write_duration(seconds: float) -> str:
    """In the largest unit that leaves at least two: `90 s`, `10 min`, `3 h`."""
    for unit_s, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"
