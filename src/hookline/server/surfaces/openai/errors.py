"""Errors as OpenAI's clients read them.

    {"error": {"message": "...", "type": "invalid_request_error", "param": "url", "code": "value_error"}}

The official SDKs try 408, 409, 429 and 5xx again by themselves, unless `x-should-retry` says no: it does wherever the
same request would fail in the same way. Input that breaks a rule is a 400 here. Source: the error classes and
`_should_retry` of the Python SDK.
"""

from __future__ import annotations

from typing import Final

import orjson

from hookline.server.errors import ErrorAnswer, safe_text
from hookline.server.faults import Fault

_CODES: Final = {401: "invalid_api_key"}
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def write_openai_fault(fault: Fault) -> ErrorAnswer:
    """A fault in OpenAI's envelope. Of several problems the first has its place in `param`; all are in the message."""
    status = 400 if fault.status == 422 else fault.status
    first = fault.problems[0] if fault.problems else None
    path = () if first is None else (*first.field, *first.path)
    error = {
        "message": safe_text(fault.detail),
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": safe_text(".".join(map(str, path))) if path else None,
        "code": _CODES.get(status, fault.code if first is None else first.kind),
    }
    heals = (status >= 500 and status != 501) or "retry-after" in fault.headers
    headers = {**fault.headers, "x-should-retry": "true" if heals else "false"}
    return ErrorAnswer(status, orjson.dumps({"error": error}), headers)
