"""What few endpoints want and the store keeps sealed as one value: filter, order, transform, credentials, authorities.

A new wish of this kind is one more member of `Extras`, with a default that means «not wished for»: rows that were
written before do not change. Credentials are masked in every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class _Masked(msgspec.Struct, frozen=True):
    """A credential: nothing of it is shown, not by `repr`, not by rich."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec's own shows every field to rich
        return [("", "***")]


class BasicAuth(_Masked, frozen=True, tag="basic"):
    """`Authorization: Basic` (RFC 7617)."""

    username: str
    password: str


class BearerAuth(_Masked, frozen=True, tag="bearer"):
    """`Authorization: Bearer` with a token that does not change by itself (RFC 6750)."""

    token: str


class ApiKeyAuth(_Masked, frozen=True, tag="api_key"):
    """A key in a header of the receiver's choice."""

    header: str
    key: str


class OAuth2Auth(_Masked, frozen=True, tag="oauth2"):
    """`Authorization: Bearer` with a token fetched by client credentials (RFC 6749, section 4.4).

    `in_body` sends the client's credentials as form members instead of HTTP Basic. `parameters` are further members
    of the token request (`audience`, `resource`).
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    in_body: bool = False
    parameters: Mapping[str, str] = {}


EndpointAuth = BasicAuth | BearerAuth | ApiKeyAuth | OAuth2Auth


class ClientCertificate(_Masked, frozen=True):
    """What we show to a receiver that asks who connects (mutual TLS): a PEM chain and its unencrypted private key."""

    certificate_pem: str
    private_key_pem: str


class Extras(msgspec.Struct, frozen=True, omit_defaults=True):
    """The optional wishes of one endpoint.

    `filter` holds conditions on the payload (see `model.filters`). `order_key` is the dotted path to the member of the
    payload by which an ordered endpoint is ordered: messages with the same value go one at a time. `transform` is a
    JMESPath expression whose result is sent instead of the payload, while it is enabled. `ca_pem` are authorities to
    trust beside the usual.
    """

    filter: Mapping[str, Any] | None = None
    order_key: str | None = None
    transform: str | None = None
    auth: EndpointAuth | None = None
    client_certificate: ClientCertificate | None = None
    ca_pem: str | None = None
    transform_enabled: bool = True

    def __repr__(self) -> str:  # filters and transforms may quote what is nobody else's business
        named = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"Extras({', '.join(named)})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("", name) for name in self.__struct_fields__ if getattr(self, name) is not None]


NO_EXTRAS = Extras()
