"""Retry policy: what to do after an attempt, decided purely.

`decide` looks at what came back and returns two things: the delivery's outcome and the effect on its endpoint.
Whoever calls it records and acts; nothing here waits, reads a clock or draws a random number of its own.

    success (2xx)                         -> succeeded
    410, `webhook-delivery: disable`      -> aborted, endpoint disabled
    `webhook-delivery: abort-message`     -> aborted
    4xx under a policy that says so       -> aborted   (never 408 and 429)
    429, 502, 503, 504                    -> retry, and the endpoint's whole lane slows down
    a failure that comes again every time -> aborted   (`HOPELESS`)
    anything else                         -> retry while the schedule has a step left, else exhausted
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from hookline.model.retry_after import parse_retry_after

GONE = 410
HOPELESS = frozenset({"transform_failed"})  # the same payload has the same fault tomorrow
SLOW_DOWN_STATUSES = frozenset({429, 502, 503, 504})
ALWAYS_RETRIED_CLIENT_ERRORS = frozenset({408, 429})
LONGEST_SLOW_DOWN_S = 60.0  # without a Retry-After, a lane is never held longer than this
SHORTEST_SLOW_DOWN_S = 1.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often, how long and how patiently an endpoint is tried.

    `schedule_s` holds the delay before each retry: two entries mean three attempts. `jitter` is the share by which a
    delay may grow or shrink. `retry_after_cap_s` bounds what a receiver may ask for.
    """

    schedule_s: tuple[float, ...] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    jitter: float = 0.2
    timeout_s: float = 15.0
    retry_after_cap_s: float = 86_400.0
    final_client_errors: bool = False

    @property
    def attempts(self) -> int:
        """Attempts in all, the first included."""
        return len(self.schedule_s) + 1


ONE_ATTEMPT = ()  # the schedule of a manual resend: it is tried once and moves nothing


class Verdict(StrEnum):
    SUCCEEDED = "succeeded"
    RETRY = "retry"
    EXHAUSTED = "exhausted"
    ABORTED = "aborted"


class Effect(StrEnum):
    """What an answer means for the endpoint as a whole."""

    NONE = "none"
    SLOW_DOWN = "slow_down"
    DISABLE = "disable"


class Answer(msgspec.Struct, frozen=True):
    """What came of an attempt, as `decide` sees it: without an HTTP answer `status` is 0 and `reason` says why."""

    status: int
    reason: str = ""
    retry_after: str | None = None
    control: str | None = None  # the response header `webhook-delivery`


class Decision(msgspec.Struct, frozen=True):
    """The verdict; `retry_at_ms` with RETRY; `slow_until_ms` with SLOW_DOWN; `reason` says why in one word."""

    verdict: Verdict
    reason: str
    retry_at_ms: int | None = None
    effect: Effect = Effect.NONE
    slow_until_ms: int | None = None


class Random(Protocol):
    """The one method of `random.Random` that jitter needs."""

    def uniform(self, a: float, b: float) -> float: ...


def decide(policy: RetryPolicy, attempt_number: int, answer: Answer, now_ms: int, rng: Random) -> Decision:
    """What follows attempt `attempt_number` that ended at `now_ms` with `answer`.

    Numbers count from 1; a manual attempt (-1) stands beside the schedule and has no next one.
    """
    effect = Effect.DISABLE if _disables(answer) else Effect.NONE
    if 200 <= answer.status < 300:
        return Decision(Verdict.SUCCEEDED, "", effect=effect)
    reason = answer.reason or "http_status"
    if effect is Effect.DISABLE:
        return Decision(Verdict.ABORTED, "gone" if answer.status == GONE else "disabled_by_receiver", effect=effect)
    if answer.control == "abort-message":
        return Decision(Verdict.ABORTED, "aborted_by_receiver")
    if reason in HOPELESS or _is_final(policy, answer.status):
        return Decision(Verdict.ABORTED, reason)

    slows = answer.status in SLOW_DOWN_STATUSES
    asked_s = min(parse_retry_after(answer.retry_after, now_ms) or 0.0, policy.retry_after_cap_s)
    if not 1 <= attempt_number <= len(policy.schedule_s):
        slow_until = now_ms + _ms(asked_s or SHORTEST_SLOW_DOWN_S) if slows else None
        return Decision(
            Verdict.EXHAUSTED,
            reason,
            effect=Effect.SLOW_DOWN if slows else Effect.NONE,
            slow_until_ms=slow_until,
        )
    planned_s = policy.schedule_s[attempt_number - 1]
    delay_s = planned_s * rng.uniform(1 - policy.jitter, 1 + policy.jitter) if policy.jitter else planned_s
    # Never sooner than the schedule says: Retry-After can only ask for more patience.
    retry_at_ms = now_ms + _ms(max(delay_s, asked_s))
    if not slows:
        return Decision(Verdict.RETRY, reason, retry_at_ms)
    slow_s = asked_s or min(max(delay_s, SHORTEST_SLOW_DOWN_S), LONGEST_SLOW_DOWN_S)
    return Decision(Verdict.RETRY, reason, retry_at_ms, Effect.SLOW_DOWN, now_ms + _ms(slow_s))


def _disables(answer: Answer) -> bool:
    return answer.status == GONE or (answer.status != 0 and answer.control == "disable")


def _is_final(policy: RetryPolicy, status: int) -> bool:
    return policy.final_client_errors and 400 <= status < 500 and status not in ALWAYS_RETRIED_CLIENT_ERRORS


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
