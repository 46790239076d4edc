"""Which retry policy holds for an endpoint: its own, the operator's schedule, or its dialect's."""

from __future__ import annotations

import msgspec

from hookline.dialects.protocol import Dialect
from hookline.model import Endpoint, RetryPolicy


def effective_policy(dialect: Dialect, endpoint: Endpoint, override_schedule: tuple[float, ...] | None) -> RetryPolicy:
    """The policy in force.

    An endpoint's own policy wins whole. `override_schedule` (seconds between attempts, set by the operator for the
    installation) replaces the schedule of the dialects without one of their own promise: `standard`, `cloudevents`.
    """
    if endpoint.policy is not None:
        return endpoint.policy
    if override_schedule is not None and dialect.takes_schedule_override:
        return msgspec.structs.replace(dialect.default_policy, schedule_s=override_schedule)
    return dialect.default_policy
