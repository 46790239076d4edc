"""The engine's numbers. Three stand beside each batched thing: most per batch, longest wait, threshold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine paces itself. The defaults are what `hookline serve` uses; `HOOKLINE_*` settings replace some."""

    # Group commit
    max_messages_per_commit: int = 500
    max_outcomes_per_commit: int = 1_000
    outcome_wait_s: float = 0.05  # longest that an outcome waits for company
    outcome_threshold: int = 100  # so many waiting outcomes do not wait any longer
    max_waiting_messages: int = 10_000  # more, and new messages are refused with «overloaded»
    congestion_threshold: int = 2_000  # deliveries that wait for us (not for their receiver): ingest makes room
    congestion_pause_s: float = 0.02  # for at most so long before each commit

    # Lanes
    lane_concurrency: int = 128  # requests in flight to one endpoint
    max_in_flight: int = 2_048  # requests in flight in all
    lane_queue: int = 1_000  # deliveries that wait in memory for one endpoint; the rest becomes `pending`
    max_queued: int = 50_000  # ... and for all of them; beyond, only a lane that can send at once gets more
    ordered_room: int = 32  # rows that an ordered lane claims at once

    # Lane health
    breaker_failures: int = 10  # an open lane needs so many failures in a row ...
    breaker_failing_s: float = 60.0  # ... over at least so long without one success
    breaker_open_s: float = 10.0  # first pause of an open lane; doubles with each failed probe
    breaker_longest_open_s: float = 300.0

    # Endpoints that only fail
    disable_after_s: float = 5 * 86_400.0  # HOOKLINE_ENDPOINT_DISABLE_AFTER; 0: never
    judge_chunk: int = 200

    # Batches
    straggler_after_s: float = 5.0  # a delivery still unsettled then gets a row of its own

    # Claims
    claim_poll_s: float = 1.0
    claim_lanes: int = 200
    max_claim: int = 1_000

    # Nodes
    lease_s: float = 15.0
    rescue_every_s: float = 2.0
    rescue_chunk: int = 1_000  # deliveries that one step of a rescue turns into rows

    # House-keeping
    prune_every_s: float = 3_600.0
    tidy_every_s: float = 5.0  # canceling what deleted endpoints are owed, emptying expired payloads
    prune_chunk: int = 1_000
    retention_s: float = 90 * 86_400.0
    relay_poll_s: float = 1.0
    relay_chunk: int = 200

    # Retries
    retry_schedule_s: tuple[float, ...] | None = None  # HOOKLINE_RETRY_SCHEDULE; None: the dialect's own
    retry_after_cap_s: float = 86_400.0
    request_timeout_s: float | None = None  # None: the policy's own

    # Stopping
    stop_grace_s: float = 25.0
