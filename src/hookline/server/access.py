"""Who may do what: one line for each operation. This table is the whole of authorization but for whose object it is.

A line says what the caller must be (`Needs`) or what a customer's token must allow (`Capability`); organizations and
API keys have every capability. An operation without a line is closed to everybody, and a test names it. The question
is asked before the body is read and before anything is looked up, so a refusal says nothing about what exists.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hookline.services.capabilities import Capability
from hookline.services.errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookline.services import Principal


class Needs(Enum):
    """What does not depend on capabilities."""

    NO_CREDENTIAL = "anybody at all"
    ANY_CREDENTIAL = "anybody whom we know"
    PROVIDER = "an organization, or an API key of one application: not a customer's token"
    ORGANIZATION = "an organization, not one application of it"


_SEE: Final = Capability.VIEW_BASE
_SECRET: Final = Capability.VIEW_ENDPOINT_SECRET
_MANAGE: Final = Capability.MANAGE_ENDPOINT
_ROTATE: Final = Capability.MANAGE_ENDPOINT_SECRET
_TRY: Final = Capability.CREATE_ATTEMPTS

ACCESS: Final[Mapping[str, Needs | Capability]] = MappingProxyType(
    {
        "v1.health.get": Needs.NO_CREDENTIAL,
        "v1.health.ping": Needs.NO_CREDENTIAL,
        # applications
        "v1.application.list": Needs.ORGANIZATION,
        "v1.application.create": Needs.ORGANIZATION,
        "v1.application.get": _SEE,
        "v1.application.update": Needs.ORGANIZATION,
        "v1.application.patch": Needs.ORGANIZATION,
        "v1.application.delete": Needs.ORGANIZATION,
        # endpoints
        "v1.endpoint.list": _SEE,
        "v1.endpoint.create": _MANAGE,
        "v1.endpoint.get": _SEE,
        "v1.endpoint.update": _MANAGE,
        "v1.endpoint.patch": _MANAGE,
        "v1.endpoint.delete": _MANAGE,
        "v1.endpoint.get-secret": _SECRET,
        "v1.endpoint.rotate-secret": _ROTATE,
        "v1.endpoint.get-headers": _SEE,  # names; values by _SECRET
        "v1.endpoint.update-headers": _MANAGE,
        "v1.endpoint.patch-headers": _MANAGE,
        "v1.endpoint.send-example": _TRY,
        "v1.endpoint.get-stats": _SEE,
        "v1.endpoint.get-attempt-stats": _SEE,
        "v1.endpoint.transformation-get": _SEE,
        "v1.endpoint.patch-transformation": Capability.MANAGE_TRANSFORMATIONS,
        # event types and settings
        "v1.event-type.list": _SEE,
        "v1.event-type.create": Needs.ORGANIZATION,
        "v1.event-type.import-openapi": Needs.ORGANIZATION,
        "v1.event-type.get": _SEE,
        "v1.event-type.update": Needs.ORGANIZATION,
        "v1.event-type.patch": Needs.ORGANIZATION,
        "v1.event-type.delete": Needs.ORGANIZATION,
        "v1.openapi.get": _SEE,
        "v1.settings.get": Needs.ORGANIZATION,
        "v1.settings.patch": Needs.ORGANIZATION,
        # messages
        "v1.message.create": Needs.PROVIDER,
        "v1.message.precheck": Needs.PROVIDER,
        "v1.message.list": _SEE,
        "v1.message.get": _SEE,
        "v1.message.expunge-content": Needs.PROVIDER,
        "v1.message.bulk-expunge-content": Needs.PROVIDER,
        # attempts
        "v1.message-attempt.list-by-msg": _SEE,
        "v1.message-attempt.list-by-msg-deprecated": _SEE,
        "v1.message-attempt.list-by-endpoint": _SEE,
        "v1.message-attempt.list-by-endpoint-deprecated": _SEE,
        "v1.message-attempt.list-attempted-messages": _SEE,
        "v1.message-attempt.list-attempted-destinations": _SEE,
        "v1.message-attempt.get": _SEE,
        "v1.message-attempt.expunge-content": Needs.PROVIDER,
        "v1.message-attempt.resend": _TRY,
        # recovery, and work in the background; what of it is the provider's alone to cancel, the service says
        "v1.endpoint.recover": _TRY,
        "v1.endpoint.replay-missing": _TRY,
        "v1.endpoint.bulk-replay": _TRY,
        "v1.message.expunge-all-contents": Needs.PROVIDER,
        "v1.statistics.aggregate-app-stats": Needs.ORGANIZATION,
        "v1.statistics.aggregate-event-types": Needs.ORGANIZATION,
        "v1.background-task.list": _SEE,
        "v1.background-task.get": _SEE,
        "v1.background-task.cancel": _TRY,
        # operational webhooks
        "v1.operational-webhook.endpoint.list": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.create": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.get": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.update": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.patch": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.delete": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.get-secret": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.rotate-secret": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.get-headers": Needs.ORGANIZATION,
        "v1.operational-webhook.endpoint.update-headers": Needs.ORGANIZATION,
        # OpenAI's webhook endpoints, in the application that a caller means who names none
        "openai.webhook-endpoint.list": _SEE,
        "openai.webhook-endpoint.create": _MANAGE,
        "openai.webhook-endpoint.get": _SEE,
        "openai.webhook-endpoint.update": _MANAGE,
        "openai.webhook-endpoint.delete": _MANAGE,
        "openai.webhook-endpoint.rotate-secret": _ROTATE,
        "openai.webhook-endpoint.test": _TRY,
        "openai.webhook-event-type.list": _SEE,
        "openai.event.create": Needs.PROVIDER,
        # OpenAI's responses, and what is passed on to the backend
        "openai.response.create": Needs.PROVIDER,
        "openai.response.get": Needs.PROVIDER,
        "openai.response.delete": Needs.PROVIDER,
        "openai.response.cancel": Needs.PROVIDER,
        "openai.response.list-input-items": Needs.PROVIDER,
        "openai.chat-completion.create": Needs.PROVIDER,
        "openai.deployment.chat-completion.create": Needs.PROVIDER,
        "openai.embedding.create": Needs.PROVIDER,
        "openai.deployment.embedding.create": Needs.PROVIDER,
        "openai.model.list": Needs.PROVIDER,
        "openai.model.get": Needs.PROVIDER,
        # alert rules
        "v1.alert-rule.list": Needs.ORGANIZATION,
        "v1.alert-rule.create": Needs.ORGANIZATION,
        "v1.alert-rule.get": Needs.ORGANIZATION,
        "v1.alert-rule.update": Needs.ORGANIZATION,
        "v1.alert-rule.patch": Needs.ORGANIZATION,
        "v1.alert-rule.delete": Needs.ORGANIZATION,
        # tokens for customers
        "v1.authentication.app-portal-access": Needs.PROVIDER,
        "v1.authentication.dashboard-access": Needs.PROVIDER,
        "v1.authentication.expire-all": Needs.PROVIDER,
        "v1.authentication.logout": Needs.ANY_CREDENTIAL,
    }
)


def check(principal: Principal, operation_id: str | None) -> None:
    """Let a known caller into an operation.

    Raises:
        ForbiddenError: it is not theirs to do.
    """
    need = ACCESS.get(operation_id or "")
    if isinstance(need, Capability):
        principal.require(need)
    elif need is Needs.ORGANIZATION:
        principal.require_organization()
    elif need is Needs.PROVIDER:
        principal.require_sender()
    elif need is None:
        # Failure policy: closed. What nobody has thought about is nobody's to do.
        raise ForbiddenError
