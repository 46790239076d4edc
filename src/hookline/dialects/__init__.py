"""How a message becomes an HTTP request: envelope, headers, signature, default retry policy. Pure.

    prepared = prepare_endpoint(endpoint)  # once per endpoint version
    request = prepared.build(message, AttemptContext(number=1, now_ms=now_ms))  # once per attempt

`prepare_endpoint` is also the last check of an endpoint's configuration: what it accepts, `build` can sign. Failures
are `DialectError`s, or `SignatureError`s for a message id that cannot be signed.
"""

from __future__ import annotations

from hookline.dialects.errors import DialectError
from hookline.dialects.policies import effective_policy
from hookline.dialects.preparing import prepare_endpoint
from hookline.dialects.protocol import AttemptContext, Dialect, OutgoingRequest, Prepared, SecretForm
from hookline.dialects.registry import DIALECTS, get_dialect
from hookline.dialects.transform import BudgetSpentError, Transform, TransformError

__all__ = [
    "DIALECTS",
    "AttemptContext",
    "BudgetSpentError",
    "Dialect",
    "DialectError",
    "OutgoingRequest",
    "Prepared",
    "SecretForm",
    "Transform",
    "TransformError",
    "effective_policy",
    "get_dialect",
    "prepare_endpoint",
]
