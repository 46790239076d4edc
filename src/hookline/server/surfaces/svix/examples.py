"""One example for each body of the API's description, in the order of a session: they belong together.

A test compares each with its schema, and names bodies that have none. Examples of lists are made from what they list.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_APP: Final = "app_01jz4x2v9qf3k8m6t5r7w0y1ab"
_EP: Final = "ep_01jz4x3c5he2p9n4s8d6v7g0kx"
_MSG: Final = "msg_01jz4x4n7rt1w3b8q5m9c2f6yz"
_ATTEMPT: Final = "atmpt_01jz4x4p0ad6h2k7s9v3x5e8gj"
_TASK: Final = "qtask_01jz4y1k6zq8v2c5n7m9b3d4fh"
_CREATED: Final = "2026-07-01T09:30:00.000Z"
_SENT: Final = "2026-07-01T09:45:12.250Z"
_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 -- the specification's own example
_TOKEN: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"  # noqa: S105

_application: Final = {"name": "Acme", "uid": "acme", "metadata": {"plan": "pro"}}
_endpoint: Final = {
    "url": "https://acme.example/hooks",
    "uid": "billing",
    "description": "Invoices",
    "eventTypes": ["invoice.*"],
}
_endpoint_out: Final[dict[str, Any]] = {
    **_endpoint,
    "id": _EP,
    "version": 1,
    "disabled": False,
    "filterTypes": ["invoice.*"],
    "channels": None,
    "throttleRate": None,
    "rateLimit": None,
    "metadata": {},
    "createdAt": _CREATED,
    "updatedAt": _CREATED,
    "dialect": "standard",
    "options": {},
    "policy": None,
    "ordered": False,
    "paused": False,
    "statusReason": None,
    "health": {"state": "healthy", "failingSince": None, "disabledAt": None, "reason": None, "detail": None},
    "filter": None,
    "orderedBy": None,
    "auth": None,
    "clientCertificate": None,
    "caPem": None,
    "transform": None,
}
_message: Final = {
    "eventType": "invoice.paid",
    "eventId": "evt-1001",
    "payload": {"id": "in_1001", "amount": 4200},
    "channels": ["north"],
}
_message_out: Final = {**_message, "id": _MSG, "timestamp": _SENT}
_attempt_out: Final = {
    "id": _ATTEMPT,
    "url": "https://acme.example/hooks",
    "response": "ok",
    "responseStatusCode": 200,
    "responseDurationMs": 84,
    "status": 0,
    "statusText": "success",
    "triggerType": 0,
    "msgId": _MSG,
    "endpointId": _EP,
    "timestamp": _SENT,
    "reason": "",
    "detail": "",
    "attemptNumber": 1,
    "final": True,
    "nextAttempt": None,
}
_event_type: Final = {
    "name": "invoice.paid",
    "description": "An invoice was paid.",
    "schemas": {"1": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}},
    "featureFlags": ["invoices"],
    "groupName": "invoice",
}

_window: Final = {"since": "2026-06-30T00:00:00Z", "until": "2026-07-01T00:00:00Z"}
_task_out: Final = {
    "id": _TASK,
    "status": "running",
    "task": "endpoint.recover",
    "updatedAt": _SENT,
    "data": {},
    "state": "running",
    "progress": {"done": 1500, "total": 4210, "affected": 37},
    "appId": _APP,
    "createdAt": _SENT,
    "finishedAt": None,
}

#: name of the schema -> an example of it
_alert_rule: Final = {
    "name": "Many failures",
    "kind": "failure_rate",
    "threshold": 0.25,
    "windowS": 600,
    "least": 50,
    "notify": ["team"],
    "renotifyS": 3600,
}

EXAMPLES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "ApplicationIn": _application,
        "ApplicationPatch": {"name": "Acme Ltd"},
        "ApplicationOut": {
            **_application,
            "id": _APP,
            "throttleRate": None,
            "rateLimit": None,
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
        },
        "EndpointIn": _endpoint,
        "EndpointPatch": {"eventTypes": ["invoice.*", "order.created"]},
        "EndpointOut": _endpoint_out,
        "SecretOut": {"key": _SECRET},
        "SecretRotateIn": {"gracePeriodSeconds": 3600},
        "HeadersIn": {"headers": {"x-team": "billing"}},
        "HeadersPatch": {"headers": {"x-team": "invoices", "x-old": None}},
        "HeadersOut": {"headers": {"x-team": "billing"}, "sensitive": ["authorization"]},
        "EventExampleIn": {"eventType": "invoice.paid", "exampleIndex": 0},
        "MessagePrecheckIn": {"eventType": "invoice.paid", "channels": ["north"]},
        "MessagePrecheckOut": {"active": True},
        "TransformationPatch": {"code": "{id: id, total: amount}", "enabled": True},
        "TransformationOut": {
            "code": "{id: id, total: amount}",
            "enabled": True,
            "variables": {},
            "updatedAt": _CREATED,
        },
        "EventTypeIn": _event_type,
        "EventTypeUpdate": {"description": "An invoice was paid in full."},
        "EventTypeImportIn": {
            "spec": {
                "openapi": "3.1.0",
                "webhooks": {"invoice.paid": {"post": {"description": "An invoice was paid"}}},
            },
            "dryRun": True,
        },
        "EventTypeImportOut": {
            "data": {
                "modified": ["invoice.paid"],
                "to_modify": [
                    {
                        "name": "invoice.paid",
                        "description": "An invoice was paid",
                        "deprecated": False,
                        "schemas": None,
                        "featureFlags": None,
                        "groupName": None,
                    }
                ],
            }
        },
        "EventTypePatch": {"deprecated": True},
        "EventTypeOut": {
            **_event_type,
            "archived": False,
            "deprecated": False,
            "featureFlag": "invoices",
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
        },
        "OrganizationSettings": {"eventTypeCheck": "known", "schemaValidation": "off"},
        "OrganizationSettingsPatch": {"eventTypeCheck": "known", "schemaValidation": None},
        "AlertRuleIn": _alert_rule,
        "AlertRulePatch": {"threshold": 0.5},
        "AlertRuleOut": {
            **_alert_rule,
            "id": "alert_01jz4z0c2m7x9v4b6n8q1t3r5w",
            "appId": None,
            "enabled": True,
            "state": "firing",
            "value": 0.4,
            "since": _SENT,
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
        },
        "BulkExpungeIn": {"ids": [_MSG, "evt-1002"]},
        "BulkExpungeOut": {"results": {_MSG: "expunged", "evt-1002": "not-found"}},
        "MessageIn": _message,
        "MessageOut": _message_out,
        "AttemptOut": _attempt_out,
        "EndpointMessageOut": {**_message_out, "status": 0, "statusText": "success", "nextAttempt": None},
        "EndpointStatsOut": {"success": 4210, "pending": 0, "sending": 3, "fail": 12, "canceled": 0},
        "EndpointAttemptStatsOut": {"success": 4210, "fail": 57, "canceled": 0},
        "MessageEndpointOut": {**_endpoint_out, "status": 0, "statusText": "success", "nextAttempt": None},
        "ReplayIn": _window,
        "BulkReplayIn": {**_window, "eventTypes": ["invoice.paid"], "status": 2},
        "TaskOut": _task_out,
        "AppUsageIn": {**_window, "appIds": ["acme", "nobody"]},
        "AppUsageOut": {**_task_out, "task": "application.stats", "appId": None, "unresolvedAppIds": ["nobody"]},
        "AppPortalAccessIn": {"capabilities": ["ViewBase", "CreateAttempts"], "expiry": 86400, "sessionId": "s-7"},
        "AppPortalAccessOut": {"url": f"https://portal.example#token={_TOKEN}", "token": _TOKEN},
        "ApplicationTokenExpireIn": {"sessionIds": ["s-7"]},
    }
)

_told: Final = {"url": "https://acme.example/operations", "eventTypes": ["endpoint.disabled", "message.attempt.*"]}

#: operation -> the example of its body, where that of the schema would not do
BODIES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "v1.operational-webhook.endpoint.create": _told,
        "v1.operational-webhook.endpoint.update": _told,
        "v1.operational-webhook.endpoint.patch": {"eventTypes": ["endpoint.*"]},
    }
)
