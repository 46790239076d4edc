"""The recorder: turns what came back into an attempt, a decision and its effects, and hands them to the committer.

    answer ──decide──> succeeded │ retry at t │ exhausted │ aborted     (the delivery)
                  └──> none │ slow down until t │ disable               (its endpoint and lane)

Nothing is dropped: an outcome stays with the committer until it is on disk. A request that we cut ourselves (the lease
ended, the server stops) is no verdict about the receiver: its delivery goes back to `pending` without an attempt.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hookline.clock import Clock
from hookline.egress import SENTENCES, Failure, Reason, Response
from hookline.engine.committer import Committer
from hookline.engine.delivery import Delivery
from hookline.engine.lane import Lane
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Route
from hookline.engine.stats import Stats
from hookline.engine.work import WaitingOutcome, WaitingSpill
from hookline.model import (
    MANUAL_NUMBER,
    Answer,
    Attempt,
    AttemptStatus,
    Decision,
    Effect,
    Kind,
    RetryPolicy,
    Verdict,
    decide,
)
from hookline.model.health import explain
from hookline.model.ids import ATTEMPT, new_id
from hookline.model.policy import ONE_ATTEMPT, Random
from hookline.store.changes import DeliveryKey, Disable, Spill

CUT_BY_US = frozenset({Reason.LEASE_LOST, Reason.CANCELED})
NOT_THE_RECEIVERS = frozenset({Reason.TRANSFORM_FAILED.value})  # nobody asked it: its lane stays as it is
CONTROL_HEADER = "webhook-delivery"
_CONTROL_BYTES = CONTROL_HEADER.encode()
BLOCKED = frozenset({Reason.BLOCKED_ADDRESS, Reason.BLOCKED_PORT, Reason.INVALID_URL})


class EngineRecorder:
    """The dispatcher's `Recorder`, on the committer's queue."""

    def __init__(self, committer: Committer, clock: Clock, rng: Random, options: EngineOptions, stats: Stats) -> None:
        self._committer = committer
        self._queue = committer.queue
        self._clock = clock
        self._rng = rng
        self._options = options
        self._stats = stats

    def record(self, delivery: Delivery, lane: Lane, route: Route, answer: Response | Failure) -> bool:
        if delivery.settling:  # its straggler row is being written: the outcome must find the row there
            delivery.deferred = lambda: self._record_later(delivery, lane, route, answer)
            return False
        now_ms = self._clock.now_ms()
        if isinstance(answer, Failure) and answer.reason in CUT_BY_US:
            self.spill(delivery, now_ms)
            return True
        decision = decide(_policy_for(delivery, route), delivery.number, _answer_of(answer), now_ms, self._rng)
        healed = lane.failures > 0 and decision.verdict is Verdict.SUCCEEDED
        if decision.reason not in NOT_THE_RECEIVERS:
            self._note_health(lane, decision, answer, now_ms)
        self._stats.attempt_duration.observe(answer.duration_ms / 1000)
        attempt = self._attempt(delivery, route, answer, decision, now_ms)
        disable = None
        if decision.effect is Effect.DISABLE:
            reason = decision.reason or "disabled_by_receiver"
            disable = Disable(attempt.app_id, attempt.endpoint_id, reason, explain(reason))
        self._count(delivery, decision, now_ms)
        waits = lane if lane.ordered or lane.keyed else None
        self._put(WaitingOutcome(attempt, delivery, decision.retry_at_ms, disable, waits, healed))
        return decision.verdict is Verdict.RETRY

    def _record_later(self, delivery: Delivery, lane: Lane, route: Route, answer: Response | Failure) -> None:
        self.record(delivery, lane, route, answer)

    def spill(self, delivery: Delivery, due_at_ms: int) -> None:
        """Give a delivery to `pending`, free: a new row, or its own row's lease back."""
        self._when_settled(delivery, lambda: self._spill(delivery, due_at_ms))

    def _spill(self, delivery: Delivery, due_at_ms: int) -> None:
        key = DeliveryKey(delivery.message.id, delivery.endpoint_id, delivery.kind)
        if delivery.has_row:
            self._queue.releases.append((key, delivery.epoch))
        else:
            delivery.settling = True
            self._stats.spilled += 1
            self._queue.spills.append(WaitingSpill(Spill(key, delivery.message.app_id, due_at_ms), delivery))
        self._committer.wake_for_outcomes()

    def spill_stragglers(self) -> int:
        """Give every delivery that takes too long a row of its own, leased to us, so that its batch may go."""
        stragglers = self._committer.batches.stragglers(self._options.straggler_after_s)
        now_ms = self._clock.now_ms()
        for delivery in stragglers:
            delivery.settling = True
            key = DeliveryKey(delivery.message.id, delivery.endpoint_id, delivery.kind)
            spill = Spill(key, delivery.message.app_id, now_ms, leased=True)
            self._queue.spills.append(WaitingSpill(spill, delivery))
        if stragglers:
            self._committer.wake_for_outcomes()
        return len(stragglers)

    def tell_health(self, lane: Lane) -> None:
        self._queue.lanes[lane.endpoint_id] = lane.health()
        self._committer.wake_for_outcomes()

    # Parts

    def _put(self, outcome: WaitingOutcome) -> None:
        outcome.delivery.settling = True
        self._queue.outcomes.append(outcome)
        self._committer.wake_for_outcomes()

    def _when_settled(self, delivery: Delivery, then: Callable[[], None]) -> None:
        if delivery.settling:
            delivery.deferred = then
        else:
            then()

    def _attempt(
        self, delivery: Delivery, route: Route, answer: Response | Failure, decision: Decision, now_ms: int
    ) -> Attempt:
        succeeded = decision.verdict is Verdict.SUCCEEDED
        if isinstance(answer, Response):
            status, body, detail = answer.status, answer.body, "" if succeeded else SENTENCES[Reason.HTTP_STATUS]
        else:
            status, body, detail = 0, b"", answer.detail
        duration_ms = round(answer.duration_ms)
        message = delivery.message
        return Attempt(
            id=new_id(ATTEMPT),
            app_id=message.app_id,
            message_id=message.id,
            endpoint_id=delivery.endpoint_id,
            kind=delivery.kind,
            number=MANUAL_NUMBER if delivery.kind is Kind.MANUAL else delivery.number,
            url=route.endpoint.url,
            status=AttemptStatus.SUCCEEDED if succeeded else AttemptStatus.FAILED,
            final=decision.verdict is not Verdict.RETRY,
            reason=decision.reason,
            detail=detail,
            response_status=status,
            response_body=body,
            duration_ms=duration_ms,
            created_at_ms=now_ms - duration_ms,
            next_attempt_at_ms=decision.retry_at_ms,
        )

    def _note_health(self, lane: Lane, decision: Decision, answer: Response | Failure, now_ms: int) -> None:
        if decision.verdict is Verdict.SUCCEEDED:
            changed = lane.succeeded(answer.duration_ms)
        else:
            changed = lane.failed(answer.duration_ms, now_ms, self._rng.uniform(0.8, 1.2))
        if decision.slow_until_ms is not None:
            changed = lane.slow_down(decision.slow_until_ms) or changed
        if changed:
            self.tell_health(lane)

    def _count(self, delivery: Delivery, decision: Decision, now_ms: int) -> None:
        self._stats.deliveries[decision.verdict.value, decision.reason] += 1
        if decision.verdict is Verdict.SUCCEEDED:
            message = delivery.message
            self._stats.delivery_latency.observe((now_ms - (message.deliver_at_ms or message.created_at_ms)) / 1000)
            return
        if decision.reason in BLOCKED:
            self._stats.blocked += 1
        if decision.verdict is Verdict.RETRY:
            self._stats.retries_scheduled += 1
        else:
            self._stats.dead_letters += 1


def _policy_for(delivery: Delivery, route: Route) -> RetryPolicy:
    if delivery.kind is Kind.SCHEDULED:
        return route.policy
    return msgspec.structs.replace(route.policy, schedule_s=ONE_ATTEMPT)


def _answer_of(answer: Response | Failure) -> Answer:
    if isinstance(answer, Failure):
        return Answer(0, answer.reason.value)
    if 200 <= answer.status < 300 and _CONTROL_BYTES not in answer.raw_head.lower():
        return Answer(answer.status)  # the usual case: headers stay unread
    return Answer(
        answer.status,
        retry_after=answer.headers.get("retry-after"),
        control=(answer.headers.get(CONTROL_HEADER) or "").strip().lower() or None,
    )
