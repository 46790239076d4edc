"""The evaluator of alert rules, as tables: what fires, what resolves, what is said again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model.alerts import AlertKind, AlertRule, AlertState, Measure, Verdict, describe, evaluate, write_duration

NOW = 1_750_000_000_000
OK, FIRING = AlertState.OK, AlertState.FIRING


def rule(state: AlertState = OK, **changes) -> AlertRule:
    fields = {
        "id": "alert_1",
        "org_id": "org_1",
        "app_id": None,
        "name": "Rule",
        "kind": AlertKind.EXHAUSTED,
        "threshold": 10.0,
        "window_ms": 300_000,
        "least": 20,
        "notify": ("team",),
        "renotify_ms": None,
        "enabled": True,
        "created_at_ms": NOW - 9,
        "updated_at_ms": NOW - 9,
        "state": state,
        "changed_at_ms": NOW - 5,
        "told_at_ms": NOW - 5,
    }
    return AlertRule(**{**fields, **changes})


@pytest.mark.parametrize(
    ("state", "value", "verdict"),
    [
        (OK, 9.99, Verdict(OK, changed=False, tell=False)),
        (OK, 10, Verdict(FIRING, changed=True, tell=True)),
        (FIRING, 10, Verdict(FIRING, changed=False, tell=False)),
        (FIRING, 8, Verdict(FIRING, changed=False, tell=False)),
        (FIRING, 7.99, Verdict(OK, changed=True, tell=True)),
        (OK, 8, Verdict(OK, changed=False, tell=False)),
    ],
)
def test_it_fires_at_the_threshold_and_resolves_below_it(state, value, verdict):
    assert evaluate(rule(state), Measure(value), NOW) == verdict


@pytest.mark.parametrize(
    ("state", "measure", "after"),
    [
        (OK, Measure(1.0, 19), OK),
        (OK, Measure(1.0, 20), FIRING),
        (FIRING, Measure(0.0, 19), FIRING),
        (FIRING, Measure(0.0, 20), OK),
        (FIRING, Measure(0.0, 0), OK),
    ],
)
def test_a_rate_of_few_attempts_says_nothing(state, measure, after):
    assert evaluate(rule(state, kind=AlertKind.FAILURE_RATE, threshold=0.5), measure, NOW).state is after


@pytest.mark.parametrize(
    ("changes", "tell"),
    [
        ({"renotify_ms": 5}, True),
        ({"renotify_ms": 6}, False),
        ({"renotify_ms": None}, False),
        ({"told_at_ms": None}, True),
        ({"told_at_ms": NOW - 6}, True),
    ],
)
def test_who_is_told_again_while_it_lasts(changes, tell):
    assert evaluate(rule(FIRING, **changes), Measure(11), NOW) == Verdict(FIRING, changed=False, tell=tell)


def test_a_resolved_one_is_not_told_again():
    assert evaluate(rule(OK, renotify_ms=1), Measure(0), NOW) == Verdict(OK, changed=False, tell=False)


@given(st.lists(st.floats(8.0, 9.999), min_size=1, max_size=20), st.sampled_from([OK, FIRING]))
def test_what_trembles_between_the_edges_changes_nothing(values, state):
    for value in values:
        assert evaluate(rule(state), Measure(value), NOW) == Verdict(state, changed=False, tell=False)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (AlertKind.FAILURE_RATE, 0.754, "75% of the attempts of the last 5 min failed."),
        (AlertKind.OLDEST_WAITING, 90.0, "The oldest due delivery waits for 90 s."),
        (AlertKind.ENDPOINT_DISABLED, 1, "1 endpoint is disabled, and not by request."),
        (AlertKind.ENDPOINT_DISABLED, 3, "3 endpoints are disabled, and not by request."),
        (AlertKind.EXHAUSTED, 1, "1 delivery failed for good within the last 5 min."),
        (AlertKind.EXHAUSTED, 12, "12 deliveries failed for good within the last 5 min."),
    ],
)
def test_what_people_read(kind, value, text):
    assert describe(kind, value, 300_000) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_durations(seconds, text):
    assert write_duration(seconds) == text
