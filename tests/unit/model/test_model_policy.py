"""`decide`: every row of its table, the bounds of every delay, and that it never fails."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model import Answer, Effect, RetryPolicy, Verdict, decide
from hookline.model.policy import ONE_ATTEMPT

NOW_MS = 1_700_000_000_000
RNG = Random(1)
EXACT = RetryPolicy(schedule_s=(5, 300, 1800), jitter=0.0)

answers = st.builds(
    Answer,
    status=st.integers(0, 599),
    reason=st.sampled_from(["", "timeout", "connection_refused"]),
    retry_after=st.none() | st.text(max_size=40) | st.integers(-10, 10**15).map(str),
    control=st.sampled_from([None, "", "disable", "abort-message", "other"]),
)
policies = st.builds(
    RetryPolicy,
    schedule_s=st.lists(st.floats(0, 10**6), max_size=6).map(tuple),
    jitter=st.floats(0, 1),
    retry_after_cap_s=st.floats(0, 10**6),
    final_client_errors=st.booleans(),
)


def test_default_policy_is_ten_attempts_over_75_hours():
    policy = RetryPolicy()
    assert policy.attempts == 10
    assert sum(policy.schedule_s) == 75 * 3600 + 35 * 60 + 5
    assert 15 <= policy.timeout_s <= 30


@pytest.mark.parametrize("status", [200, 201, 204, 299])
@pytest.mark.parametrize("number", [-1, 1, 99])
def test_2xx_succeeds_whatever_the_number(status, number):
    decision = decide(EXACT, number, Answer(status), NOW_MS, RNG)
    assert (decision.verdict, decision.reason, decision.effect) == (Verdict.SUCCEEDED, "", Effect.NONE)
    assert decision.retry_at_ms is None
    assert decision.slow_until_ms is None


@pytest.mark.parametrize("status", [0, 100, 199, 300, 301, 308, 400, 401, 404, 408, 422, 429, 500, 503, 599])
def test_all_else_is_retried_by_the_schedule(status):
    for number, delay_s in enumerate(EXACT.schedule_s, start=1):
        decision = decide(EXACT, number, Answer(status), NOW_MS, RNG)
        assert decision.verdict is Verdict.RETRY
        assert decision.retry_at_ms == NOW_MS + delay_s * 1000
    assert decide(EXACT, 4, Answer(status), NOW_MS, RNG).verdict is Verdict.EXHAUSTED
    assert decide(EXACT, 99, Answer(status), NOW_MS, RNG).verdict is Verdict.EXHAUSTED


def test_reason_is_the_transports_or_http_status():
    assert decide(EXACT, 1, Answer(0, "timeout"), NOW_MS, RNG).reason == "timeout"
    assert decide(EXACT, 1, Answer(500), NOW_MS, RNG).reason == "http_status"
    assert decide(EXACT, 4, Answer(500), NOW_MS, RNG).reason == "http_status"


@pytest.mark.parametrize("policy", [EXACT, RetryPolicy(schedule_s=ONE_ATTEMPT), RetryPolicy()])
@pytest.mark.parametrize("status", [0, 302, 404, 500, 503])
def test_manual_attempt_has_no_next_one(policy, status):
    decision = decide(policy, -1, Answer(status), NOW_MS, RNG)
    assert decision.verdict is Verdict.EXHAUSTED
    assert decision.retry_at_ms is None


def test_gone_aborts_and_disables():
    decision = decide(EXACT, 1, Answer(410), NOW_MS, RNG)
    assert (decision.verdict, decision.reason, decision.effect) == (Verdict.ABORTED, "gone", Effect.DISABLE)


@pytest.mark.parametrize("status", [400, 429, 500, 302])
def test_receiver_may_disable_itself_with_a_failure(status):
    decision = decide(EXACT, 1, Answer(status, control="disable"), NOW_MS, RNG)
    assert decision.verdict is Verdict.ABORTED
    assert decision.reason == "disabled_by_receiver"
    assert decision.effect is Effect.DISABLE


def test_receiver_may_disable_itself_with_a_success():
    decision = decide(EXACT, 1, Answer(200, control="disable"), NOW_MS, RNG)
    assert (decision.verdict, decision.effect) == (Verdict.SUCCEEDED, Effect.DISABLE)


def test_receiver_may_abort_one_message():
    decision = decide(EXACT, 1, Answer(503, control="abort-message"), NOW_MS, RNG)
    assert (decision.verdict, decision.reason) == (Verdict.ABORTED, "aborted_by_receiver")
    assert decision.effect is Effect.NONE
    assert decide(EXACT, 1, Answer(200, control="abort-message"), NOW_MS, RNG).verdict is Verdict.SUCCEEDED


def test_control_without_an_answer_means_nothing():
    assert decide(EXACT, 1, Answer(0, "timeout", control="disable"), NOW_MS, RNG).verdict is Verdict.RETRY


@pytest.mark.parametrize("status", range(400, 500))
def test_final_client_errors_spare_408_and_429(status):
    policy = RetryPolicy(schedule_s=(1, 2), final_client_errors=True)
    verdict = decide(policy, 1, Answer(status), NOW_MS, RNG).verdict
    assert verdict is (Verdict.RETRY if status in {408, 429} else Verdict.ABORTED)


@pytest.mark.parametrize("status", [0, 302, 399, 500, 503])
def test_final_client_errors_are_client_errors_only(status):
    policy = RetryPolicy(schedule_s=(1, 2), final_client_errors=True)
    assert decide(policy, 1, Answer(status), NOW_MS, RNG).verdict is Verdict.RETRY


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_overload_slows_the_lane_down(status):
    decision = decide(EXACT, 1, Answer(status), NOW_MS, RNG)
    assert decision.effect is Effect.SLOW_DOWN
    assert decision.slow_until_ms == NOW_MS + 5_000  # as long as the retry waits
    assert decide(EXACT, 2, Answer(status), NOW_MS, RNG).slow_until_ms == NOW_MS + 60_000  # never longer than this
    last = decide(EXACT, 4, Answer(status), NOW_MS, RNG)
    assert (last.effect, last.slow_until_ms) == (Effect.SLOW_DOWN, NOW_MS + 1_000)


@pytest.mark.parametrize("status", [0, 408, 500, 501, 505])
def test_other_failures_leave_the_lane_alone(status):
    for number in (1, 4):
        decision = decide(EXACT, number, Answer(status), NOW_MS, RNG)
        assert decision.effect is Effect.NONE
        assert decision.slow_until_ms is None


def test_a_lane_rests_at_least_a_second():
    decision = decide(RetryPolicy(schedule_s=(0.01,), jitter=0.0), 1, Answer(503), NOW_MS, RNG)
    assert decision.retry_at_ms == NOW_MS + 10
    assert decision.slow_until_ms == NOW_MS + 1_000


def test_retry_after_asks_for_more_patience_never_for_less():
    longer = decide(EXACT, 1, Answer(503, retry_after="90"), NOW_MS, RNG)
    assert longer.retry_at_ms == longer.slow_until_ms == NOW_MS + 90_000
    shorter = decide(EXACT, 2, Answer(503, retry_after="90"), NOW_MS, RNG)
    assert shorter.retry_at_ms == NOW_MS + 300_000
    assert shorter.slow_until_ms == NOW_MS + 90_000
    assert decide(EXACT, 1, Answer(500, retry_after="90"), NOW_MS, RNG).retry_at_ms == NOW_MS + 90_000
    assert decide(EXACT, 4, Answer(429, retry_after="90"), NOW_MS, RNG).slow_until_ms == NOW_MS + 90_000


def test_retry_after_is_capped():
    policy = RetryPolicy(schedule_s=(5,), jitter=0.0, retry_after_cap_s=60)
    for text in ("61", "999999999", "9" * 50, "Fri, 31 Dec 2100 23:59:59 GMT"):
        decision = decide(policy, 1, Answer(429, retry_after=text), NOW_MS, RNG)
        assert decision.retry_at_ms == decision.slow_until_ms == NOW_MS + 60_000


def test_jitter_uses_its_whole_range_and_no_more():
    policy = RetryPolicy(schedule_s=(100,), jitter=0.2)
    rng = Random(7)
    delays_s = [(decide(policy, 1, Answer(500), NOW_MS, rng).retry_at_ms - NOW_MS) / 1000 for _ in range(500)]
    assert 80 <= min(delays_s) < 83
    assert 117 < max(delays_s) <= 120


@given(policies, st.integers(-1, 8), answers, st.integers(0, 2**47), st.randoms(use_true_random=False))
def test_every_decision_is_sound(policy, number, answer, now_ms, rng):
    decision = decide(policy, number, answer, now_ms, rng)
    assert (decision.verdict is Verdict.SUCCEEDED) == (200 <= answer.status < 300)
    assert (decision.retry_at_ms is not None) == (decision.verdict is Verdict.RETRY)
    assert (decision.slow_until_ms is not None) == (decision.effect is Effect.SLOW_DOWN)
    assert bool(decision.reason) == (decision.verdict is not Verdict.SUCCEEDED)
    if decision.retry_at_ms is not None:
        step_s = policy.schedule_s[number - 1]
        longest_s = max(step_s * (1 + policy.jitter), policy.retry_after_cap_s)
        assert now_ms + step_s * (1 - policy.jitter) * 1000 - 1 <= decision.retry_at_ms
        assert now_ms <= decision.retry_at_ms <= now_ms + longest_s * 1000 + 1
    if decision.slow_until_ms is not None:
        assert now_ms <= decision.slow_until_ms <= now_ms + max(60, policy.retry_after_cap_s) * 1000 + 1


@given(policies, st.randoms(use_true_random=False))
def test_a_receiver_that_always_fails_gets_exactly_the_promised_attempts(policy, rng):
    number = 1
    while decide(policy, number, Answer(500), NOW_MS, rng).verdict is Verdict.RETRY:
        number += 1
    assert number == policy.attempts
