"""From an endpoint to what builds its requests: the dialect's own preparation, and what every dialect shares.

Credentials that do not change (HTTP Basic, a bearer token, an API key) become one more header of the endpoint's own
before its dialect sees it, so they cost nothing per request. A token that has to be fetched first is not known here;
only its header's place is kept free.
"""

from __future__ import annotations

import base64

import msgspec

from hookline.dialects.errors import DialectError
from hookline.dialects.headers import check_own_header
from hookline.dialects.protocol import Prepared
from hookline.dialects.registry import get_dialect
from hookline.model import NO_EXTRAS, ApiKeyAuth, BasicAuth, BearerAuth, Endpoint, EndpointAuth

AUTHORIZATION = "authorization"


def prepare_endpoint(endpoint: Endpoint) -> Prepared:
    """Make an endpoint ready, once per version of it.

    Raises:
        DialectError: the dialect cannot serve it, or a header of its own stands where its credentials go.
    """
    dialect = get_dialect(endpoint.dialect)
    if endpoint.extras is NO_EXTRAS or endpoint.extras.auth is None:
        return dialect.prepare(endpoint)
    return dialect.prepare(_with_credentials(endpoint, endpoint.extras.auth))


def _with_credentials(endpoint: Endpoint, auth: EndpointAuth) -> Endpoint:
    name = auth.header if isinstance(auth, ApiKeyAuth) else AUTHORIZATION
    if name.lower() in {own.lower() for own in endpoint.headers}:
        raise DialectError(
            f"The endpoint has a header {name} of its own, which is where its credentials go. Remove one of the two.",
            code="header_conflict",
            field="auth",
        )
    value = _static_value(auth)
    if value is None:
        return endpoint
    check_own_header(name, value, "auth")
    return msgspec.structs.replace(endpoint, headers={**endpoint.headers, name: value})


def _static_value(auth: EndpointAuth) -> str | None:
    match auth:
        case BasicAuth():
            return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode("ascii")
        case BearerAuth():
            return f"Bearer {auth.token}"
        case ApiKeyAuth():
            return auth.key
        case _:
            return None
