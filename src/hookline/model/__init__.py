"""Frozen data types, ids, retry policy, filters and the delivery's state machine. Pure."""

from hookline.model.delivery import (
    ENDS,
    SVIX_STATUS,
    SVIX_STATUS_TEXT,
    TRANSITIONS,
    DeliveryState,
    IllegalTransitionError,
    advance,
    state_of_pending,
)
from hookline.model.entities import (
    MANUAL_NUMBER,
    ApiKey,
    Application,
    Attempt,
    AttemptStatus,
    Endpoint,
    EndpointSecret,
    EndpointStatus,
    Kind,
    Message,
)
from hookline.model.filters import Filter, compile_filter
from hookline.model.policy import Answer, Decision, Effect, RetryPolicy, Verdict, decide
from hookline.model.retry_after import parse_retry_after

__all__ = [
    "ENDS",
    "MANUAL_NUMBER",
    "SVIX_STATUS",
    "SVIX_STATUS_TEXT",
    "TRANSITIONS",
    "Answer",
    "ApiKey",
    "Application",
    "Attempt",
    "AttemptStatus",
    "Decision",
    "DeliveryState",
    "Effect",
    "Endpoint",
    "EndpointSecret",
    "EndpointStatus",
    "Filter",
    "IllegalTransitionError",
    "Kind",
    "Message",
    "RetryPolicy",
    "Verdict",
    "advance",
    "compile_filter",
    "decide",
    "parse_retry_after",
    "state_of_pending",
]
