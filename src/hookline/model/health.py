"""The health of an endpoint: since when it fails, and when that has lasted long enough to switch it off. Pure.

    well ──a failure──> failing ──a success──> well
                           └──nothing but failures for the period, and still being tried──> disabled ──enabled──> well
                           └──paused──> paused ──enabled──> well

A message or two that fail, with nothing sent afterwards, disable nobody: there must be news in the last part of the
period, a delivery that was given up or `ENOUGH_ATTEMPTS` failed attempts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hookline.model.entities import Endpoint, EndpointStatus
from hookline.model.times import write_rfc3339

FAILING: Final = "failing"  # the reason of an endpoint that failed for too long
LAST_PART: Final = 5  # the last fifth of the period
ENOUGH_ATTEMPTS: Final = 5

_SENTENCES: Final = {
    "gone": "Its receiver answered 410 Gone.",
    "disabled_by_receiver": "Its receiver asked for it, with the header webhook-delivery: disable.",
}


class HealthState(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    DISABLED = "disabled"
    PAUSED = "paused"


class EndpointHealth(msgspec.Struct, frozen=True):
    """What the database knows of an endpoint that fails or was disabled; a healthy one has none of it."""

    failing_since_ms: int | None = None
    exhausted_at_ms: int | None = None  # when a delivery was last given up
    disabled_at_ms: int | None = None
    reason: str | None = None
    detail: str | None = None


class FailingEndpoint(msgspec.Struct, frozen=True):
    """An enabled endpoint without a success, as far as was noted, since `failing_since_ms`."""

    endpoint_id: str
    app_id: str
    org_id: str
    failing_since_ms: int
    exhausted_at_ms: int | None


class Evidence(msgspec.Struct, frozen=True):
    """What the attempts themselves say: the last success since it was noted as failing, the first failure after that
    one, and how many failures there were lately (counted up to `ENOUGH_ATTEMPTS`).
    """

    succeeded_at_ms: int | None
    failed_again_at_ms: int | None
    recent_failures: int


class Judgement(StrEnum):
    WAIT = "wait"
    HEAL = "heal"  # it did succeed: it fails since the failure after that, or not at all
    DISABLE = "disable"


def begin_of_last_part(now_ms: int, period_s: float) -> int:
    """From when on failures count as news."""
    return now_ms - round(period_s * 1000 / LAST_PART)


def is_suspect(endpoint: FailingEndpoint, period_s: float, now_ms: int) -> bool:
    """Whether it fails for so long that its attempts are worth reading. A period of 0 suspects nobody."""
    return period_s > 0 and now_ms - endpoint.failing_since_ms >= period_s * 1000


def judge(endpoint: FailingEndpoint, evidence: Evidence, period_s: float, now_ms: int) -> Judgement:
    """What becomes of a suspect."""
    if evidence.succeeded_at_ms is not None:
        return Judgement.HEAL
    given_up_lately = (endpoint.exhausted_at_ms or 0) >= begin_of_last_part(now_ms, period_s)
    if given_up_lately or evidence.recent_failures >= ENOUGH_ATTEMPTS:
        return Judgement.DISABLE
    return Judgement.WAIT


def explain(reason: str, failing_since_ms: int | None = None) -> str | None:
    """Why it was disabled, for people."""
    if reason == FAILING and failing_since_ms is not None:
        return f"Every attempt failed since {write_rfc3339(failing_since_ms)}."
    return _SENTENCES.get(reason)


def state_of(endpoint: Endpoint, health: EndpointHealth | None) -> HealthState:
    """The state as people are shown it."""
    if endpoint.status is EndpointStatus.DISABLED:
        return HealthState.DISABLED
    if endpoint.status is EndpointStatus.PAUSED:
        return HealthState.PAUSED
    return HealthState.HEALTHY if health is None or health.failing_since_ms is None else HealthState.FAILING
