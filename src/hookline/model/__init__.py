"""Frozen data types, ids, retry policy, filters and the delivery's state machine. Pure."""

from hookline.model.catalog import EventType, Organization, OrganizationSettings
from hookline.model.conditions import ConditionError, compile_conditions
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
from hookline.model.extras import (
    NO_EXTRAS,
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    ClientCertificate,
    EndpointAuth,
    Extras,
    OAuth2Auth,
)
from hookline.model.filters import Filter, compile_filter, filter_of, read_payload, wants
from hookline.model.policy import Answer, Decision, Effect, RetryPolicy, Verdict, decide
from hookline.model.retry_after import parse_retry_after
from hookline.model.tasks import OPEN_STATES, Task, TaskState

__all__ = [
    "ENDS",
    "MANUAL_NUMBER",
    "NO_EXTRAS",
    "OPEN_STATES",
    "SVIX_STATUS",
    "SVIX_STATUS_TEXT",
    "TRANSITIONS",
    "Answer",
    "ApiKey",
    "ApiKeyAuth",
    "Application",
    "Attempt",
    "AttemptStatus",
    "BasicAuth",
    "BearerAuth",
    "ClientCertificate",
    "ConditionError",
    "Decision",
    "DeliveryState",
    "Effect",
    "Endpoint",
    "EndpointAuth",
    "EndpointSecret",
    "EndpointStatus",
    "EventType",
    "Extras",
    "Filter",
    "IllegalTransitionError",
    "Kind",
    "Message",
    "OAuth2Auth",
    "Organization",
    "OrganizationSettings",
    "RetryPolicy",
    "Task",
    "TaskState",
    "Verdict",
    "advance",
    "compile_conditions",
    "compile_filter",
    "decide",
    "filter_of",
    "parse_retry_after",
    "read_payload",
    "state_of_pending",
    "wants",
]
