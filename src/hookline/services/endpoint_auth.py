"""How we prove to an endpoint who we are: the rules for its `auth`. Pure.

What is said is merged with what is kept: of the same type, members that are left out stay, so that nobody has to repeat
a secret to change a user name. Another type begins with nothing. A client secret does not follow to another token URL:
it would hand the secret of one authorization server to whoever names the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookline.egress import EgressPolicy, HeaderRefused, UrlRefused, check_custom_headers, parse_url
from hookline.model import ApiKeyAuth, BasicAuth, BearerAuth, EndpointAuth, OAuth2Auth
from hookline.services.validation import Findings, is_text

MAX_SECRET_LENGTH: Final = 4_096
MAX_NAME_LENGTH: Final = 512
MAX_SCOPE_LENGTH: Final = 2_048
MAX_PARAMETERS: Final = 20
MAX_PARAMETER_LENGTH: Final = 1_024

TYPES: Final[Mapping[str, type[BasicAuth | BearerAuth | ApiKeyAuth | OAuth2Auth]]] = {
    "basic": BasicAuth,
    "bearer": BearerAuth,
    "api_key": ApiKeyAuth,
    "oauth2": OAuth2Auth,
}
_SECRETS: Final = frozenset({"password", "token", "key", "client_secret"})

_TOKEN: Final = re.compile(r"[!-~]+", re.ASCII)
_BASIC: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*", re.ASCII)  # RFC 6749, section 3.3
# Members of the token request that we write, and those that are credentials: what is shown must not be secret.
_OWN_PARAMETERS: Final = frozenset({"grant_type", "client_id", "client_secret", "scope"})
_SECRET_PARAMETERS: Final = frozenset(
    {"password", "client_assertion", "assertion", "refresh_token", "code", "access_token", "subject_token"}
)


class AuthForm(msgspec.Struct, frozen=True):
    """What somebody says about an endpoint's `auth`: its type, and the members that were stated."""

    type: str
    members: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        return f"AuthForm(type={self.type!r}, ***)"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("type", self.type), ("", "***")]


def type_of(auth: EndpointAuth) -> str:
    """The name of its type, as forms have it."""
    return str(auth.__struct_config__.tag)


def resolve_auth(
    said: AuthForm | EndpointAuth | None, kept: EndpointAuth | None, egress: EgressPolicy, findings: Findings
) -> EndpointAuth | None:
    """The `auth` that an endpoint has from now on; adds to the findings what is wrong with it, and then gives None."""
    if said is None or not isinstance(said, AuthForm):
        return said
    kind = TYPES.get(said.type)
    if kind is None:
        findings.add(("auth", "type"), "Use basic, bearer, apiKey or oauth2.", "enum")
        return None
    before = msgspec.structs.asdict(kept) if isinstance(kept, kind) else {}
    if said.members.get("token_url", before.get("token_url")) != before.get("token_url"):
        before.pop("client_secret", None)
    stated = {name: value for name, value in said.members.items() if name in kind.__struct_fields__}
    members = {name: value for name, value in {**before, **stated}.items() if value is not None}
    known = len(findings.problems)
    for name in said.members:
        if name not in kind.__struct_fields__:
            findings.add(("auth", name), "This kind of auth has no such member. Leave it out.", "unknown")
    required = kind.__struct_fields__[: len(kind.__struct_fields__) - len(kind.__struct_defaults__)]
    for name in required:
        if name not in members:
            findings.add(("auth", name), "This kind of auth needs it. Give it.", "missing")
    if len(findings.problems) > known:
        return None
    auth = kind(**members)
    _CHECKS[kind](auth, egress, findings)
    return auth if len(findings.problems) == known else None


def _check_basic(auth: BasicAuth, _: EgressPolicy, findings: Findings) -> None:
    for name, value in (("username", auth.username), ("password", auth.password)):
        if len(value) > MAX_NAME_LENGTH or not is_text(value) or not _BASIC.fullmatch(value):
            message = f"Use at most {MAX_NAME_LENGTH} characters, none of them a control character."
            findings.add(("auth", name), message, "string_pattern")
    if ":" in auth.username:
        findings.add(("auth", "username"), "A user name has no colon: HTTP could not tell where it ends.")


def _check_bearer(auth: BearerAuth, _: EgressPolicy, findings: Findings) -> None:
    if len(auth.token) > MAX_SECRET_LENGTH or not _TOKEN.fullmatch(auth.token):
        message = f"Use 1 to {MAX_SECRET_LENGTH} printable ASCII characters, without blanks."
        findings.add(("auth", "token"), message, "string_pattern")


def _check_api_key(auth: ApiKeyAuth, _: EgressPolicy, findings: Findings) -> None:
    try:
        check_custom_headers([(auth.header, "")])
    except HeaderRefused as error:
        findings.add(("auth", "header"), error.message, error.code)
    if not 1 <= len(auth.key) <= MAX_SECRET_LENGTH or not (auth.key.isascii() and auth.key.isprintable()):
        findings.add(("auth", "key"), f"Use 1 to {MAX_SECRET_LENGTH} printable ASCII characters.", "string_pattern")


def _check_oauth2(auth: OAuth2Auth, egress: EgressPolicy, findings: Findings) -> None:
    try:
        parse_url(auth.token_url, egress)
    except UrlRefused as error:
        findings.add(("auth", "token_url"), error.message, error.code)
    for name, value, most in (
        ("client_id", auth.client_id, MAX_NAME_LENGTH),
        ("client_secret", auth.client_secret, MAX_SECRET_LENGTH),
    ):
        if not 1 <= len(value) <= most or not is_text(value):
            findings.add(("auth", name), f"Use 1 to {most} characters.", "string_length")
    if auth.scope is not None and (len(auth.scope) > MAX_SCOPE_LENGTH or not _SCOPE.fullmatch(auth.scope)):
        message = f"Use scopes of printable ASCII, with one blank between them, {MAX_SCOPE_LENGTH} characters in all."
        findings.add(("auth", "scope"), message, "string_pattern")
    if len(auth.parameters) > MAX_PARAMETERS:
        findings.add(("auth", "parameters"), f"At most {MAX_PARAMETERS} parameters.", "too_long")
        return
    for name, value in auth.parameters.items():
        _check_parameter(name, value, findings)


def _check_parameter(name: str, value: str, findings: Findings) -> None:
    if not name or any(len(text) > MAX_PARAMETER_LENGTH or not is_text(text) for text in (name, value)):
        findings.add(("auth", "parameters"), f"Use names and values of at most {MAX_PARAMETER_LENGTH} characters.")
    elif name.lower() in _OWN_PARAMETERS:
        findings.add(("auth", "parameters"), f"Hookline writes {name.lower()} itself. Use the member of auth for it.")
    elif name.lower() in _SECRET_PARAMETERS:
        findings.add(
            ("auth", "parameters"), f"Parameters are shown in answers: {name.lower()} does not belong there. Remove it."
        )


_CHECKS: Final[Mapping[type, Any]] = {
    BasicAuth: _check_basic,
    BearerAuth: _check_bearer,
    ApiKeyAuth: _check_api_key,
    OAuth2Auth: _check_oauth2,
}
