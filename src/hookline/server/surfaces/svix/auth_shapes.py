"""The JSON of an endpoint's `auth` and client certificate. Secrets come in and never go out; what stands beside them is
null for callers who may see no secret.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from hookline.model import ApiKeyAuth, BasicAuth, BearerAuth, ClientCertificate, EndpointAuth
from hookline.server.surfaces.svix.shape import Shape
from hookline.services import AuthForm

_TYPES: Final = {"basic": "basic", "bearer": "bearer", "apiKey": "api_key", "oauth2": "oauth2"}


class AuthIn(Shape):
    """How we prove who we are. Of the same type, members that are left out stay as they are."""

    type: Literal["basic", "bearer", "apiKey", "oauth2"]
    username: Annotated[str | None, Field(description="basic")] = None
    password: Annotated[str | None, Field(description="basic; never shown", repr=False)] = None
    token: Annotated[str | None, Field(description="bearer; never shown", repr=False)] = None
    header: Annotated[str | None, Field(description="apiKey: the header's name")] = None
    key: Annotated[str | None, Field(description="apiKey: the header's value; never shown", repr=False)] = None
    token_url: Annotated[str | None, Field(description="oauth2: where tokens are fetched")] = None
    client_id: Annotated[str | None, Field(description="oauth2")] = None
    client_secret: Annotated[str | None, Field(description="oauth2; never shown", repr=False)] = None
    scope: Annotated[str | None, Field(description="oauth2")] = None
    in_body: Annotated[
        bool | None, Field(description="oauth2: send the client's credentials in the body, not as HTTP Basic")
    ] = None
    parameters: Annotated[
        dict[str, str] | None, Field(description="oauth2: more members of the token request, such as `audience`")
    ] = None


class BasicAuthOut(Shape):
    type: Literal["basic"]
    username: str | None


class BearerAuthOut(Shape):
    type: Literal["bearer"]


class ApiKeyAuthOut(Shape):
    type: Literal["apiKey"]
    header: str


class OAuth2AuthOut(Shape):
    type: Literal["oauth2"]
    token_url: str | None
    client_id: str | None
    scope: str | None
    in_body: bool
    parameters: dict[str, str]


AuthOut = Annotated[BasicAuthOut | BearerAuthOut | ApiKeyAuthOut | OAuth2AuthOut, Field(discriminator="type")]


class ClientCertificateIn(Shape):
    """For mutual TLS. Both at once: a key belongs to its certificate."""

    certificate_pem: Annotated[str, Field(description="The certificate and its chain, in PEM form.")]
    private_key_pem: Annotated[str, Field(description="Unencrypted, in PEM form; never shown", repr=False)]


class ClientCertificateOut(Shape):
    certificate_pem: str


def read_auth(body: AuthIn) -> AuthForm:
    members = {name: getattr(body, name) for name in body.model_fields_set if name != "type"}
    return AuthForm(_TYPES[body.type], members)


def read_certificate(body: ClientCertificateIn) -> ClientCertificate:
    return ClientCertificate(body.certificate_pem, body.private_key_pem)


def render_auth(auth: EndpointAuth | None) -> BasicAuthOut | BearerAuthOut | ApiKeyAuthOut | OAuth2AuthOut | None:
    match auth:
        case None:
            return None
        case BasicAuth():
            return BasicAuthOut(type="basic", username=auth.username)
        case BearerAuth():
            return BearerAuthOut(type="bearer")
        case ApiKeyAuth():
            return ApiKeyAuthOut(type="apiKey", header=auth.header)
        case _:
            return OAuth2AuthOut(
                type="oauth2",
                token_url=auth.token_url,
                client_id=auth.client_id,
                scope=auth.scope,
                in_body=auth.in_body,
                parameters=dict(auth.parameters),
            )


def hide_auth(shown: AuthOut | None) -> AuthOut | None:
    """The same without what belongs to a credential: of its kind, and of the header's name, nobody can make use."""
    match shown:
        case BasicAuthOut():
            return shown.model_copy(update={"username": None})
        case OAuth2AuthOut():
            return shown.model_copy(update={"token_url": None, "client_id": None, "scope": None, "parameters": {}})
        case _:
            return shown


def render_certificate(certificate: ClientCertificate | None) -> ClientCertificateOut | None:
    return None if certificate is None else ClientCertificateOut(certificate_pem=certificate.certificate_pem)
