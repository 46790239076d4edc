"""The use cases: applications, endpoints, event types, messages, attempts, settings, API keys, tokens.

All rules of validity live here. Services take a caller (`Principal`) or a scope, forms of plain data, and raise
`ServiceError`s. They know no HTTP.
"""

from hookline.services.alert_rules import AlertRuleForm, AlertRules
from hookline.services.alerting import Alerting
from hookline.services.applications import ApplicationForm, Applications
from hookline.services.attempts import Attempts
from hookline.services.capabilities import Capability
from hookline.services.checks import NO_CHECKS, Checks, ChecksCache
from hookline.services.directory import Directory
from hookline.services.endpoint_auth import AuthForm, type_of
from hookline.services.endpoint_form import EndpointForm, PolicyForm, check_header_names
from hookline.services.endpoints import SENSITIVE_HEADERS, Endpoints
from hookline.services.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    EventIdTakenError,
    EventTypeExistsError,
    ForbiddenError,
    InProgressError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    NotOfferedError,
    PayloadGoneError,
    PayloadTooLargeError,
    Problem,
    ServiceError,
)
from hookline.services.event_type_form import EventTypeForm
from hookline.services.event_types import EventTypes, ImportedType
from hookline.services.examples import ExampleForm, Examples
from hookline.services.idempotency import Idempotency
from hookline.services.key_sets import KeySets, verifying_key
from hookline.services.keys import Keys, NewKey
from hookline.services.messages import MessageForm, MessageOptions, Messages
from hookline.services.notifier import AppriseNotifier, Notifier
from hookline.services.operations import Operations, check_operational_types
from hookline.services.organizations import Organizations
from hookline.services.principal import Principal
from hookline.services.secrets import public_form
from hookline.services.sessions import AccessForm, Sessions
from hookline.services.tokens import Grant, Tokens, TokenSecretError

__all__ = [
    "NO_CHECKS",
    "SENSITIVE_HEADERS",
    "AccessForm",
    "AlertRuleForm",
    "AlertRules",
    "Alerting",
    "ApplicationForm",
    "Applications",
    "AppriseNotifier",
    "Attempts",
    "AuthForm",
    "AuthenticationError",
    "BadRequestError",
    "Capability",
    "Checks",
    "ChecksCache",
    "ConflictError",
    "Directory",
    "EndpointForm",
    "Endpoints",
    "EventIdTakenError",
    "EventTypeExistsError",
    "EventTypeForm",
    "EventTypes",
    "ExampleForm",
    "Examples",
    "ForbiddenError",
    "Grant",
    "Idempotency",
    "ImportedType",
    "InProgressError",
    "InvalidError",
    "KeySets",
    "Keys",
    "LimitReachedError",
    "MessageForm",
    "MessageOptions",
    "Messages",
    "NewKey",
    "NotFoundError",
    "NotOfferedError",
    "Notifier",
    "Operations",
    "Organizations",
    "PayloadGoneError",
    "PayloadTooLargeError",
    "PolicyForm",
    "Principal",
    "Problem",
    "ServiceError",
    "Sessions",
    "TokenSecretError",
    "Tokens",
    "check_header_names",
    "check_operational_types",
    "public_form",
    "type_of",
    "verifying_key",
]
