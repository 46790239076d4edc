"""The use cases: applications, endpoints, messages, attempts, API keys, tokens. All rules of validity live here.

Services take a caller (`Principal`) or a scope, forms of plain data, and raise `ServiceError`s. They know no HTTP.
"""

from hookline.services.applications import ApplicationForm, Applications
from hookline.services.attempts import Attempts
from hookline.services.directory import Directory
from hookline.services.endpoint_auth import AuthForm, type_of
from hookline.services.endpoint_form import EndpointForm, PolicyForm
from hookline.services.endpoints import SENSITIVE_HEADERS, Endpoints
from hookline.services.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    NotOfferedError,
    PayloadTooLargeError,
    Problem,
    ServiceError,
)
from hookline.services.keys import Keys, NewKey
from hookline.services.messages import MessageForm, MessageOptions, Messages
from hookline.services.principal import Principal
from hookline.services.secrets import public_form
from hookline.services.tokens import Tokens, TokenSecretError

__all__ = [
    "SENSITIVE_HEADERS",
    "ApplicationForm",
    "Applications",
    "Attempts",
    "AuthForm",
    "AuthenticationError",
    "ConflictError",
    "Directory",
    "EndpointForm",
    "Endpoints",
    "ForbiddenError",
    "InvalidError",
    "Keys",
    "LimitReachedError",
    "MessageForm",
    "MessageOptions",
    "Messages",
    "NewKey",
    "NotFoundError",
    "NotOfferedError",
    "PayloadTooLargeError",
    "PolicyForm",
    "Principal",
    "Problem",
    "ServiceError",
    "TokenSecretError",
    "Tokens",
    "public_form",
    "type_of",
]
