"""When an endpoint that only fails is disabled, as a table."""

from __future__ import annotations

import pytest

from hookline.model import EndpointStatus
from hookline.model.health import (
    EndpointHealth,
    Evidence,
    FailingEndpoint,
    HealthState,
    Judgement,
    explain,
    is_suspect,
    judge,
    state_of,
)
from support.store import endpoint

NOW = 1_750_000_000_000
PERIOD_S = 1000.0
LAST_PART = NOW - 200_000


def failing(since_ms: int = NOW - 1_000_000, exhausted_at_ms: int | None = None) -> FailingEndpoint:
    return FailingEndpoint("ep_1", "app_1", "org_1", since_ms, exhausted_at_ms)


@pytest.mark.parametrize(
    ("since_ms", "period_s", "suspected"),
    [
        (NOW - 1_000_000, PERIOD_S, True),
        (NOW - 999_999, PERIOD_S, False),
        (NOW + 1, PERIOD_S, False),
        (0, 0.0, False),
    ],
)
def test_who_is_suspected(since_ms, period_s, suspected):
    assert is_suspect(failing(since_ms), period_s, NOW) is suspected


@pytest.mark.parametrize(
    ("exhausted_at_ms", "evidence", "judgement"),
    [
        (None, Evidence(None, None, 0), Judgement.WAIT),
        (None, Evidence(None, None, 4), Judgement.WAIT),
        (None, Evidence(None, None, 5), Judgement.DISABLE),
        (LAST_PART, Evidence(None, None, 0), Judgement.DISABLE),
        (LAST_PART - 1, Evidence(None, None, 0), Judgement.WAIT),
        (NOW, Evidence(NOW - 5, None, 5), Judgement.HEAL),
        (NOW, Evidence(NOW - 5, NOW - 4, 5), Judgement.HEAL),
    ],
)
def test_what_becomes_of_a_suspect(exhausted_at_ms, evidence, judgement):
    assert judge(failing(exhausted_at_ms=exhausted_at_ms), evidence, PERIOD_S, NOW) is judgement


@pytest.mark.parametrize(
    ("status", "health", "state"),
    [
        (EndpointStatus.ENABLED, None, HealthState.HEALTHY),
        (EndpointStatus.ENABLED, EndpointHealth(NOW), HealthState.FAILING),
        (EndpointStatus.PAUSED, EndpointHealth(NOW), HealthState.PAUSED),
        (EndpointStatus.DISABLED, None, HealthState.DISABLED),
    ],
)
def test_what_people_are_shown(status, health, state):
    assert state_of(endpoint("app_1", status=status), health) is state


def test_why_in_words():
    assert explain("failing", NOW) == "Every attempt failed since 2025-06-15T15:06:40.000Z."
    assert explain("gone") == "Its receiver answered 410 Gone."
    assert explain("requested") is None
